/** The pure parts by themselves: parsing, pacing, and what the browser and the phone say. */
import { describe, expect, it, vi } from 'vitest';
import { appStateActivity, netInfoNetwork, pageActivity, pageNetwork } from '../../src/index.js';
import { backoffMs, lookAgainMs, networkIntervalMs, reconnectMs, createTokenBucket } from '../../src/pacing.js';
import type { StatusErrorCode } from '../../src/errors.js';
import {
  type ErrorAnswer,
  httpError,
  opaqueTag,
  parseRetryAfter,
  parseStatus,
  parseStreamData,
} from '../../src/protocol.js';
import { seededRandom } from '../support/fake-clock.js';

describe('protocol', () => {
  it.each([
    ['"a"', 'a'],
    ['W/"a"', 'a'],
    [' "a" ', 'a'],
    ['a', null],
    ['""', null],
    [null, null],
  ])('entity tag %s', (etag, expected) => {
    expect(opaqueTag(etag)).toBe(expected);
  });

  it.each([
    ['3', 3000],
    ['0', 0],
    ['-5', 0],
    ['1.5', 1500],
    ['', null],
    [null, null],
    ['soon', null],
    ['Thu, 01 Jan 1970 00:00:10 GMT', 9000],
    ['1e99', 300_000],
  ])('Retry-After %s', (value, expected) => {
    expect(parseRetryAfter(value, 1000)).toBe(expected);
  });

  it('names wire fields as people read them', () => {
    const data = { queued_count: 1, input_count: 2, output_count: 3, timestamp: 't', version: 'v' };
    const expected = {
      status: { queued: 1, processing: 2, completed: 3, timestamp: 't' },
      version: 'v',
      validator: 'v',
    };
    expect(parseStatus(JSON.stringify({ success: true, data }), '"other"')).toEqual(expected);
    const frame = { queued: 1, processing: 2, completed: 3, timestamp: 't' };
    expect(parseStreamData(JSON.stringify(frame), 'v')).toEqual(expected);
  });

  it('reads the counts of further folders by their names, and nothing else that may be there one day', () => {
    const other = { note: 'x', odd: { a: 1 }, Mixed_count: 1, __proto___count: 1, bad_count: -1, none_count: null };
    const data = { queued_count: 1, input_count: 2, output_count: 3, failed_count: 4, x_count_count: 5, total: 6 };
    const body = { success: true, data: { ...data, ...other, timestamp: 't', version: 'v' } };
    expect(parseStatus(JSON.stringify(body), null).status.extra).toEqual({ failed: 4, x_count: 5 });
    const frame = { queued: 1, processing: 2, completed: 3, failed: 4, x_count: 5, Mixed: 1, bad: -1, note: 'x' };
    expect(parseStreamData(JSON.stringify({ ...frame, timestamp: null }), 'v').status.timestamp).toBe('');
    const { status } = parseStreamData(JSON.stringify({ ...frame, timestamp: 7, version: 8 }), 'v');
    expect(status.extra).toEqual({ failed: 4, x_count: 5 });
  });

  it('without further folders a status has the members that it ever had', () => {
    const frame = { queued: 1, processing: 2, completed: 3, timestamp: 't' };
    const { status, version } = parseStreamData(JSON.stringify(frame), undefined);
    expect([Object.keys(status), version]).toEqual([['queued', 'processing', 'completed', 'timestamp'], '1/2/3/t']);
  });

  it('a further count makes another version where the server names none', () => {
    const of = (failed: number) =>
      parseStreamData(JSON.stringify({ queued: 1, processing: 2, completed: 3, failed }), undefined).version;
    expect(of(1)).not.toBe(of(2));
  });

  const PROBLEM = 'application/problem+json';
  const ours = (code?: string): string => JSON.stringify({ title: 'No', success: false, code });
  /** What ASP.NET, Spring and others send. */
  const theirs = JSON.stringify({ type: 'about:blank', title: 'Forbidden', status: 403 });
  const answers: [string, number, Partial<ErrorAnswer>, StatusErrorCode, string | null][] = [
    ['this API', 401, { contentType: PROBLEM, body: ours('unauthorized') }, 'unauthorized', 'unauthorized'],
    ['this API', 403, { contentType: `${PROBLEM}; charset=utf-8`, body: ours() }, 'unauthorized', ''],
    ['this API', 400, { contentType: PROBLEM, body: ours('bad-request') }, 'rejected', 'bad-request'],
    ['this API', 405, { contentType: PROBLEM, body: ours('method-not-allowed') }, 'rejected', 'method-not-allowed'],
    ['this API', 500, { contentType: PROBLEM, body: ours('internal-error') }, 'http', 'internal-error'],
    ['this API', 503, { contentType: PROBLEM, body: ours('counts-not-ready') }, 'http', 'counts-not-ready'],
    ['this API', 403, { contentType: PROBLEM, body: ours('case-not-permitted') }, 'unauthorized', 'case-not-permitted'],
    ['this API', 404, { contentType: PROBLEM, body: ours('case-unknown') }, 'http', 'case-unknown'],
    ['somebody', 404, { contentType: PROBLEM, body: ours('not-found') }, 'http', null],
    ['somebody', 404, { contentType: PROBLEM, body: ours() }, 'http', null],
    ['somebody', 404, { contentType: 'application/json', body: ours('case-unknown') }, 'http', null],
    ['a gateway with a challenge', 401, { challenge: 'Bearer' }, 'unauthorized', null],
    ['a gateway with a challenge', 403, { challenge: 'Bearer error="insufficient_scope"' }, 'unauthorized', null],
    ['the platform, for its key', 401, { body: '' }, 'unauthorized', null],
    ['a firewall', 403, { body: '' }, 'http', null],
    ['a firewall', 403, { contentType: 'text/html', body: '<h1>Blocked</h1>' }, 'http', null],
    ['a portal', 401, { contentType: 'text/html', body: '<h1>Sign in to Wi-Fi</h1>' }, 'http', null],
    ['a portal', 401, { contentType: 'text/html', body: ours() }, 'http', null],
    ["another API's problem", 401, { contentType: PROBLEM, body: theirs }, 'http', null],
    ["another API's problem", 403, { contentType: PROBLEM, body: theirs }, 'http', null],
    ['a problem cut in half', 403, { contentType: PROBLEM, body: ours().slice(0, 9) }, 'http', null],
    ['a firewall', 400, {}, 'http', null],
    ['a firewall', 405, {}, 'http', null],
    ['a gateway that looks like this API', 504, { contentType: PROBLEM, body: ours() }, 'http', null],
    ...[204, 206, 302, 404, 407, 408, 410, 421, 426, 429, 500, 502, 503, 504, 524].map(
      (status): (typeof answers)[number] => ['anybody', status, {}, 'http', null],
    ),
  ];
  it.each(answers)('%s: %i with %j is %s', (_, status, part, code, problem) => {
    const answer = { status, contentType: null, challenge: null, retryAfter: '2', body: '-', ...part };
    expect(httpError(answer, 0)).toMatchObject({ code, problem, httpStatus: status, retryAfterMs: 2000 });
  });
});

describe('pacing', () => {
  it('backoff stays within 1, 2, 4 … 30 s and their halves, whatever the jitter', () => {
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      const bound = Math.min(1000 * 2 ** attempt, 30_000);
      for (const jitter of [0, 0.3, 0.7, 1 - Number.EPSILON]) {
        const delay = backoffMs(attempt, jitter, null);
        expect(delay).toBeGreaterThanOrEqual(bound / 2);
        expect(delay).toBeLessThanOrEqual(bound + 1e-3);
      }
    }
  });

  it('Retry-After is the floor, and is spread over as long again', () => {
    expect(backoffMs(0, 0, 12_000)).toBe(12_000);
    expect(backoffMs(0, 0.5, 12_000)).toBe(18_000);
    expect(backoffMs(6, 0.5, 12_000)).toBe(backoffMs(6, 0.5, null));
  });

  it('looks again after 1, 2, 4 … minutes', () => {
    expect([0, 1, 2, 3, 99].map((looks) => lookAgainMs(looks, 5) / 60_000)).toEqual([1, 2, 4, 5, 5]);
  });

  it('gaps', () => {
    expect(reconnectMs({ livedMs: 10, retryMs: 3000 }, () => 0.5)).toBe(3000);
    expect(reconnectMs({ livedMs: 180_000, retryMs: 3000 }, () => 0.5)).toBe(100);
    expect([null, 'none', 'wifi', 'cellular', 'ethernet'].map(networkIntervalMs)).toEqual([
      null,
      null,
      2000,
      5000,
      5000,
    ]);
  });

  it('the bucket gives its capacity at once and one a refill after that, also when time goes back', () => {
    const bucket = createTokenBucket(0, 3, 1000);
    expect([0, 0, 0, 0].map((now) => bucket(now))).toEqual([0, 0, 0, 1000]);
    expect(bucket(500)).toBe(500);
    expect(bucket(-9999)).toBe(500);
    expect(bucket(-9499)).toBe(0);
    expect(bucket(1e9)).toBe(0);
  });
});

describe('clients that lost their server together', () => {
  type Delays = (attempt: number) => number;
  const OUTAGES = [0.7, 1, 2, 3.5, 5, 10, 20, 45, 120];

  /** When each is back, in seconds, sorted: the first of its attempts that the server is there for. */
  function returns(outage: number, clients: number, delaysOf: () => Delays): number[] {
    const times = Array.from({ length: clients }, () => {
      const delays = delaysOf();
      let at = 0;
      for (let attempt = 0; at < outage; attempt += 1) at += delays(attempt) / 1000;
      return at;
    });
    return times.sort((a, b) => a - b);
  }

  /** Of the busiest second, and of the window from the first to the last. */
  function peakOverMean(times: readonly number[]): number {
    let [peak, end] = [0, 0];
    times.forEach((time, start) => {
      while ((times[end] ?? Infinity) < time + 1) end += 1;
      peak = Math.max(peak, end - start);
    });
    return peak / (times.length / ((times.at(-1) ?? 0) - (times[0] ?? 0)));
  }

  /** As the session does: one draw a row. */
  function ours(random: () => number): () => Delays {
    return () => {
      const jitter = random();
      return (attempt) => backoffMs(attempt, jitter, null);
    };
  }

  it.each(OUTAGES)('come back evenly after %d s: a thousand, in no second twice the mean', (outage) => {
    const times = returns(outage, 1000, ours(seededRandom(1)));
    expect(peakOverMean(times)).toBeLessThanOrEqual(2);
  });

  it('whatever the outage, evenness is the design and not the draw, and nobody is late', () => {
    for (let outage = 0.7; outage < 200; outage *= 1.2) {
      const times = returns(outage, 10_000, ours(seededRandom(2)));
      expect(peakOverMean(times), `${outage} s`).toBeLessThanOrEqual(1.7);
      expect(times.at(-1), `${outage} s`).toBeLessThan(outage + Math.min(outage + 1, 30.001));
    }
  });

  it.each(OUTAGES)('with a draw for each attempt they would not, after %d s', (outage) => {
    const random = seededRandom(1);
    const fullJitter: Delays = (attempt) => random() * Math.min(1000 * 2 ** attempt, 30_000);
    expect(peakOverMean(returns(outage, 1000, () => fullJitter))).toBeGreaterThan(2);
  });
});

describe('signals', () => {
  it('the page: visibility and online', () => {
    const page = Object.assign(new EventTarget(), { visibilityState: 'visible' });
    const view = new EventTarget();
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', { onLine: true });
    vi.stubGlobal('addEventListener', view.addEventListener.bind(view));
    vi.stubGlobal('removeEventListener', view.removeEventListener.bind(view));
    const seen: unknown[] = [];
    const stops = [
      pageActivity()?.subscribe((active) => seen.push(active)),
      pageNetwork()?.subscribe((network) => seen.push(network.online)),
    ];
    page.visibilityState = 'hidden';
    page.dispatchEvent(new Event('visibilitychange'));
    vi.stubGlobal('navigator', { onLine: false });
    view.dispatchEvent(new Event('offline'));
    for (const stop of stops) stop?.();
    page.dispatchEvent(new Event('visibilitychange'));
    view.dispatchEvent(new Event('online'));
    expect(seen).toEqual([true, true, false, false]);
  });

  it('no page, no signals', () => {
    expect(pageActivity()).toBeNull();
    expect(pageNetwork()).toBeNull();
  });

  it('AppState: inactive is still looked at, background is not', () => {
    let say = (_state: string): void => undefined;
    const remove = vi.fn();
    const appState = {
      currentState: 'active',
      addEventListener: (_: 'change', run: (state: string) => void) => {
        say = run;
        return { remove };
      },
    };
    const seen: boolean[] = [];
    const stop = appStateActivity(appState).subscribe((active) => seen.push(active));
    for (const state of ['inactive', 'background', 'active']) say(state);
    stop();
    expect(seen).toEqual([true, true, false, true]);
    expect(remove).toHaveBeenCalledTimes(1);
  });

  it('NetInfo: offline only when it is sure', () => {
    let say = (_state: { isConnected: boolean | null; type: string }): void => undefined;
    const stop = vi.fn();
    const seen: unknown[] = [];
    netInfoNetwork({
      addEventListener: (run) => {
        say = run;
        return stop;
      },
    }).subscribe((network) => seen.push(network))();
    say({ isConnected: null, type: 'unknown' });
    say({ isConnected: false, type: 'none' });
    say({ isConnected: true, type: 'wifi' });
    expect(seen).toEqual([
      { online: true, type: null },
      { online: false, type: 'none' },
      { online: true, type: 'wifi' },
    ]);
    expect(stop).toHaveBeenCalledTimes(1);
  });
});
