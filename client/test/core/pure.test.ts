/** The pure parts by themselves: parsing, pacing, and what the browser and the phone say. */
import { describe, expect, it, vi } from 'vitest';
import { appStateActivity, netInfoNetwork, pageActivity, pageNetwork } from '../../src/index.js';
import { backoffMs, gapMs, networkIntervalMs, reconnectMs, createTokenBucket } from '../../src/pacing.js';
import { httpError, opaqueTag, parseRetryAfter, parseStatus, parseStreamData } from '../../src/protocol.js';
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

  it.each([
    [401, 'unauthorized'],
    [403, 'unauthorized'],
    [400, 'rejected'],
    [405, 'rejected'],
    [404, 'http'],
    [500, 'http'],
    [204, 'http'],
  ])('%i is %s', (status, code) => {
    expect(httpError(status, null, 0).code).toBe(code);
  });
});

describe('pacing', () => {
  it('backoff stays within 1, 2, 4 … 30 s with full jitter, and above Retry-After', () => {
    const random = seededRandom(7);
    for (let attempt = 0; attempt < 2000; attempt += 1) {
      const bound = Math.min(1000 * 2 ** attempt, 30_000);
      const delay = backoffMs(attempt, random);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThanOrEqual(bound);
    }
    expect(backoffMs(0, random, 12_000)).toBe(12_000);
    const spread = Array.from({ length: 500 }, () => backoffMs(9, random));
    expect(Math.min(...spread)).toBeLessThan(2000);
    expect(Math.max(...spread)).toBeGreaterThan(28_000);
  });

  it('gaps', () => {
    expect(gapMs({ followUp: true, elapsedMs: 0, intervalMs: 3000 })).toBe(100);
    expect(gapMs({ followUp: false, elapsedMs: 1000, intervalMs: 3000 })).toBe(2000);
    expect(gapMs({ followUp: false, elapsedMs: 25_000, intervalMs: 3000 })).toBe(0);
    expect(reconnectMs({ livedMs: 10, retryMs: 3000 }, () => 0.5)).toBe(3000);
    expect(reconnectMs({ livedMs: 180_000, retryMs: 3000 }, () => 0.5)).toBe(100);
    expect([null, 'unknown', 'wifi', 'cellular', 'ethernet'].map(networkIntervalMs)).toEqual([
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
      { online: true, type: 'unknown' },
      { online: false, type: 'none' },
      { online: true, type: 'wifi' },
    ]);
    expect(stop).toHaveBeenCalledTimes(1);
  });
});
