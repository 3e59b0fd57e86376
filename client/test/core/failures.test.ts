/** What each failure does: back off, or wait for a token. Nothing is for ever. */
import { describe, expect, it, vi } from 'vitest';
import { healthyHour } from '../support/healthy-hour.js';
import type { Sent } from '../support/memory-fetch.js';
import { createRig, type Rig } from '../support/rig.js';
import { type Answer, problem } from '../support/status-service.js';

const MINUTE = 60_000;
/** 1, 2, 4 … 30 s. */
const boundMs = (attempt: number): number => Math.min(1000 * 2 ** attempt, 30_000);

describe('a server that is dead for 5 minutes', () => {
  it.each(['long-poll', 'sse', 'poll'] as const)('%s: attempts follow 1, 2, 4 … 30 s', async (transport) => {
    const { clock, wire, service, client, heard, start } = createRig({ transport }, {}, 42);
    await start();
    await clock.advance(1000);
    wire.fault = () => 'refuse';
    // What was under way is cut, as a dying server does.
    service.token = 'gone';
    service.set({ queued: 1 });
    client.refresh();
    const first = wire.sent.length;
    await clock.advance(5 * MINUTE);
    const times = wire.times.slice(first);
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    gaps.forEach((gap, i) => {
      expect(gap, `gap ${i}`).toBeGreaterThanOrEqual(boundMs(i) / 2);
      expect(gap, `gap ${i}`).toBeLessThanOrEqual(boundMs(i) + 1e-3);
    });
    expect(gaps.at(-1)).toBeCloseTo(30_000);
    expect(times.length).toBeLessThan(20);
    expect(client.state).toBe('stale');

    service.token = 'secret';
    service.set({ queued: 2 });
    wire.fault = () => undefined;
    const down = wire.sent.length;
    const lastAttempt = wire.times.at(-1) ?? 0;
    while (wire.sent.length === down) await clock.advance(100);
    expect((wire.times[down] ?? 0) - lastAttempt).toBeCloseTo(30_000);
    expect(client.state).toBe('live'); // with the very first attempt after the return
    expect(heard.at(-1)?.queued).toBe(2);
  });

  it('the gaps double, by one draw a row, and start over with another after a success', async () => {
    const draws = [0, 1 - Number.EPSILON];
    const { clock, wire, start } = createRig({ random: () => draws.shift() ?? 0.5 });
    const gaps = (from: number): number[] =>
      wire.times.slice(from).map((at, i, all) => Math.round((at - (all[i - 1] ?? at)) / 100) / 10);
    wire.fault = () => 'refuse';
    await start();
    await clock.advance(120_000);
    expect(gaps(0)).toEqual([0, 0.5, 1, 2, 4, 8, 16, 28.2, 30, 30]);
    wire.fault = () => undefined;
    await clock.advance(31_000);
    wire.fault = () => 'refuse';
    const next = wire.sent.length;
    await clock.advance(150_000);
    expect(gaps(next).slice(0, 9)).toEqual([0, 1, 2, 4, 8, 16, 28.2, 30, 30]);
    expect(draws).toEqual([]);
  });
});

describe('a path that cuts requests that are held for a second', () => {
  const later = (rig: Rig, answer: Answer) => (): Promise<Answer> =>
    new Promise((resolve) => void rig.clock.schedule(() => resolve(answer), 1000));
  const isHeld = (sent: Sent): boolean => 'prefer' in sent.headers;

  it('is polled, more and more, and asked at most once a second in any minute', async () => {
    const rig = createRig({}, {}, 7);
    rig.wire.fault = (sent) => (isHeld(sent) ? later(rig, problem(504, 'Cut')) : undefined);
    await rig.start();
    for (let minute = 0; minute < 5; minute += 1) {
      const before = rig.wire.sent.length;
      await rig.clock.advance(MINUTE);
      expect(rig.wire.sent.length - before).toBeLessThanOrEqual(40);
    }
    const [changedAt, held] = [rig.clock.now(), rig.wire.sent.filter(isHeld).length];
    rig.service.set({ queued: 1 });
    while (rig.heard.at(-1)?.queued !== 1) await rig.clock.advance(100);
    expect(rig.clock.now() - changedAt).toBeLessThanOrEqual(5000);
    await rig.clock.advance(MINUTE);
    expect(rig.wire.sent.filter(isHeld).length - held).toBeLessThan(5);
  });

  it('one cut is no reason: the second request after it is held', async () => {
    const rig = createRig();
    await rig.start();
    rig.wire.fault = (sent) => (isHeld(sent) ? later(rig, problem(504, 'Cut')) : undefined);
    const before = rig.wire.sent.length;
    while (!rig.wire.sent.slice(before).some(isHeld)) await rig.clock.advance(100);
    rig.wire.fault = () => undefined;
    await rig.clock.advance(2500);
    expect(rig.wire.sent.slice(-2).map(isHeld)).toEqual([false, true]);
  });
});

describe('answers', () => {
  it.each([404, 408, 429, 500, 502, 503, 504])('%i is retried, and says so', async (status) => {
    const { clock, wire, client, start } = createRig();
    wire.fault = () => problem(status, 'Trouble');
    await start();
    expect(client.getSnapshot()).toMatchObject({ state: 'connecting', error: { code: 'http', httpStatus: status } });
    wire.fault = () => undefined;
    await clock.advance(1000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', error: null });
  });

  it.each([
    ['the floor of the backoff', 0, 20_000],
    ['spread: others were told the same', 0.25, 25_000],
  ])('Retry-After is %s', async (_, jitter, expectedMs) => {
    const { clock, wire, start } = createRig({ random: () => jitter });
    wire.fault = () => problem(503, 'counts-not-ready', { 'retry-after': '20' });
    await start();
    await clock.advance(expectedMs - 1);
    expect(wire.sent.length).toBe(1);
    await clock.advance(1);
    expect(wire.sent.length).toBe(2);
  });

  it('an absurd Retry-After is bounded at 5 minutes', async () => {
    const { clock, wire, start } = createRig({ random: () => 0 });
    wire.fault = () => problem(503, 'Closed', { 'retry-after': '999999999' });
    await start();
    await clock.advance(5 * MINUTE);
    expect(wire.sent.length).toBe(2);
  });

  it.each([
    ['by the answer’s own Date', 'Wed, 21 Oct 2015 07:28:00 GMT', 20_000],
    ['by our clock where it has none', undefined, 5 * MINUTE],
    ['by our clock where it has a broken one', 'yesterday', 5 * MINUTE],
  ])('Retry-After as a date is read %s', async (_, date, expectedMs) => {
    vi.spyOn(Date, 'now').mockReturnValue(Date.UTC(2001, 0, 1)); // a phone whose clock is years off
    const { clock, wire, start } = createRig({ random: () => 0 });
    const headers = { 'retry-after': 'Wed, 21 Oct 2015 07:28:20 GMT', ...(date && { date }) };
    wire.fault = () => problem(503, 'Closed', headers);
    await start();
    await clock.advance(expectedMs - 1);
    expect(wire.sent.length).toBe(1);
    await clock.advance(1);
    expect(wire.sent.length).toBe(2);
  });

  it('counts that are not known yet are not zeros', async () => {
    const { clock, service, client, heard, start } = createRig();
    service.ready = false;
    await start();
    expect(client.getSnapshot()).toMatchObject({ status: null, state: 'connecting' });
    service.ready = true;
    await clock.advance(10_000);
    expect(client.state).toBe('live');
    expect(heard.length).toBe(1);
  });

  it.each([400, 405])('%i of this API says what to check, and is retried as any failure', async (status) => {
    const { clock, wire, client, start } = createRig();
    wire.fault = () => problem(status, 'No');
    await start();
    const { state, error } = client.getSnapshot();
    expect([state, error?.code, error?.httpStatus]).toEqual(['connecting', 'rejected', status]);
    expect(error?.message).toContain('baseUrl');
    wire.fault = () => undefined;
    await clock.advance(1000);
    expect(client.state).toBe('live');
  });

  it.each([401, 403])('%i: another token is sent at once, the same one every few minutes', async (status) => {
    let token = 'old';
    const onError = vi.fn();
    const { clock, wire, client, start } = createRig({ getToken: async () => token, onError });
    wire.fault = (sent) => (sent.headers.authorization === 'Bearer secret' ? undefined : problem(status, 'Refused'));
    await start();
    await clock.advance(60 * MINUTE);
    const gaps = wire.times.slice(1).map((at, i) => at - (wire.times[i] ?? 0));
    [1, 2, 4, 4, 4].forEach((minutes, i) => {
      expect(gaps[i]).toBeGreaterThanOrEqual(minutes * MINUTE);
      expect(gaps[i]).toBeLessThanOrEqual(minutes * MINUTE + 30_000);
    });
    expect(client.getSnapshot()).toMatchObject({
      state: 'stopped',
      reason: 'unauthorized',
      error: { code: 'unauthorized', httpStatus: status },
    });
    expect(onError).toHaveBeenCalledTimes(wire.sent.length); // not when nothing was sent
    token = 'secret';
    await clock.advance(30_000);
    expect(client.state).toBe('live');
  });

  it('getToken that fails in between does not let a refusal be told again', async () => {
    const onError = vi.fn();
    const getToken = vi.fn(() => 'old');
    const { clock, wire, start } = createRig({ getToken, onError });
    await start();
    getToken.mockImplementationOnce(() => {
      throw new Error('keychain');
    });
    await clock.advance(MINUTE - 1);
    expect(wire.sent.length).toBe(1);
    expect(onError.mock.calls.map(([{ code }]) => code)).toEqual(['unauthorized', 'token']);
  });

  it('a token that expires under way is waited for too', async () => {
    let token = 'secret';
    const { clock, wire, service, client, start } = createRig({ getToken: () => token });
    await start();
    service.token = 'next';
    await clock.advance(30_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'unauthorized', status: { queued: 0 } });
    const before = wire.sent.length;
    await clock.advance(MINUTE / 2);
    expect(wire.sent.length).toBe(before);
    token = 'next';
    client.refresh();
    await clock.advance(10);
    expect(client.state).toBe('live');
  });

  it('a refusal that arrives late, of a request that was left, is not remembered', async () => {
    let refuse = (): void => undefined;
    const { clock, wire, client, start } = createRig();
    wire.fault = () => () =>
      new Promise((resolve) => {
        refuse = () => resolve(problem(401, 'Refused'));
      });
    await start();
    client.refresh();
    wire.fault = () => undefined;
    refuse();
    await clock.advance(10);
    expect(client.state).toBe('live');
  });

  it('getToken that throws is retried', async () => {
    const getToken = vi
      .fn(() => 'secret')
      .mockImplementationOnce(() => {
        throw new Error('keychain');
      });
    const { clock, client, start } = createRig({ getToken });
    await start();
    expect(client.getSnapshot().error?.code).toBe('token');
    await clock.advance(1000);
    expect(client.state).toBe('live');
  });

  it.each([
    ['a captive portal', '<html>Sign in to Wi-Fi</html>'],
    ['half a body', '{"success": true, "da'],
    ['an answer that is not ours', '{"ok": true}'],
    ['counts that are not numbers', '{"success": true, "data": {"queued_count": "3"}}'],
    ['success false', '{"success": false, "data": {"queued_count":1,"input_count":1,"output_count":1}}'],
  ])('%s is no status, and is retried', async (_, body) => {
    const { clock, wire, client, heard, start } = createRig();
    wire.fault = () => ({ status: 200, headers: {}, body });
    await start();
    expect(client.getSnapshot()).toMatchObject({ status: null, error: { code: 'protocol' } });
    expect(heard).toEqual([]);
    wire.fault = () => undefined;
    await clock.advance(1000);
    expect(client.state).toBe('live');
  });

  it('a request that is never answered ends, below the 30 s of an app, and is retried', async () => {
    const { clock, wire, client, start } = createRig();
    await start();
    await clock.advance(1000);
    wire.fault = () => 'hang';
    await clock.advance(25_000);
    const hung = wire.times.at(-1) ?? 0;
    expect(client.state).toBe('live');
    await clock.advance(29_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'stale', error: { code: 'timeout' } });
    wire.fault = () => undefined;
    await clock.advance(13_000);
    expect((wire.times.at(-1) ?? 0) - hung).toBeGreaterThanOrEqual(29_000);
    expect(client.state).toBe('live');
  });
});

describe('a refusal that passes', () => {
  const html = { 'content-type': 'text/html' };
  const REFUSALS: Record<string, Answer> = {
    "this API's 401": problem(401, 'Token refused', { 'www-authenticate': 'Bearer' }),
    "this API's 403": problem(403, 'Token refused'),
    "this API's 400": problem(400, 'Bad request'),
    "this API's 405": problem(405, 'Method not allowed'),
    "the platform's 401, for its key": { status: 401, headers: {}, body: '' },
    "a portal's 401": { status: 401, headers: html, body: 'Sign in to Wi-Fi' },
    "a proxy's 401": { status: 401, headers: { 'www-authenticate': 'Basic' }, body: 'Who are you?' },
    "a firewall's 403": { status: 403, headers: html, body: 'Blocked' },
    "a firewall's empty 403": { status: 403, headers: {}, body: '' },
    "a firewall's 400": { status: 400, headers: html, body: 'Bad request' },
    "a gateway's 405": { status: 405, headers: {}, body: '' },
    "a proxy's 407": { status: 407, headers: {}, body: '' },
    "a blocked country's 451": { status: 451, headers: html, body: 'No' },
  };
  const table = (['long-poll', 'sse', 'poll'] as const).flatMap((transport, i) =>
    Object.keys(REFUSALS).map((name, j) => ({ transport, name, lastsMs: (i + j) % 2 ? 12 * MINUTE : 0 })),
  );

  it.each(table)('$transport, $name for $lastsMs ms: live within 5 minutes', async ({ transport, name, lastsMs }) => {
    const { clock, wire, client, start } = createRig({ transport });
    wire.fault = () => REFUSALS[name];
    await start();
    await clock.advance(lastsMs);
    expect(client.getSnapshot().error?.httpStatus).toBe(REFUSALS[name]?.status);
    wire.fault = () => undefined;
    const before = wire.sent.length;
    await clock.advance(5 * MINUTE);
    expect(client.state).toBe('live');
    await clock.advance(55 * MINUTE);
    expect(client.state).toBe('live');
    expect(wire.sent.length - before).toBeLessThanOrEqual(2 * (await healthyHour(transport)));
    client.close();
  });

  it.each(['the foreground', 'being online again', 'another network', 'refresh()', 'a new listener'])(
    '%s forgets it: asked at once',
    async (what) => {
      const { clock, wire, activity, network, client, start } = createRig();
      network.set({ online: true, type: 'wifi' });
      wire.fault = () => REFUSALS["this API's 401"];
      const stop = await start();
      await clock.advance(MINUTE / 2);
      expect(wire.sent.length).toBe(1);
      wire.fault = () => undefined;
      if (what === 'the foreground') [false, true].forEach((active) => activity.set(active));
      else if (what === 'being online again') [false, true].forEach((online) => network.set({ online, type: 'wifi' }));
      else if (what === 'another network') network.set({ online: true, type: 'cellular' });
      else if (what === 'refresh()') client.refresh();
      else {
        stop();
        client.subscribe(() => undefined);
      }
      await clock.advance(0);
      expect(client.state).toBe('live');
      client.close();
    },
  );
});
