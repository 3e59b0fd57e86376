/** Paths that do not let a request be held for as long as the client would like. */
import { describe, expect, it, vi } from 'vitest';
import type { StatusClientOptions, Transport } from '../../src/types.js';
import { seededRandom } from '../support/fake-clock.js';
import { type CutKind, cutAfter } from '../support/gateway.js';
import { createRig, type Rig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const KINDS: readonly CutKind[] = [504, 502, 408, 524, 'broken'];

const isHeld = ({ target, headers }: Rig['wire']['sent'][number]): boolean =>
  'prefer' in headers || target.includes('wait=');
const waits = ({ wire }: Rig): string[] => wire.sent.flatMap(({ headers }) => headers.prefer ?? []);

interface Hour {
  readonly requests: number;
  readonly errors: number;
  /** States in order, without repeats; those of the first minute, and those after it. */
  readonly states: readonly string[];
  readonly slowestMs: number;
}

/** A quiet hour behind a gateway, then ten changes, far apart. */
async function hourBehind(limitMs: number, kind: CutKind, options: Partial<StatusClientOptions> = {}): Promise<Hour> {
  const onError = vi.fn();
  const rig = createRig({ onError, ...options });
  const { clock, wire, service, client, states, heard, start } = rig;
  wire.fault = cutAfter(rig, limitMs, kind);
  await start();
  await clock.advance(MINUTE);
  states.length = 0;
  await clock.advance(HOUR - MINUTE);
  const result = { requests: wire.sent.length, errors: onError.mock.calls.length, states: [...states] };
  const random = seededRandom(limitMs);
  let slowestMs = 0;
  for (let queued = 1; queued <= 10; queued += 1) {
    await clock.advance(random() * MINUTE);
    service.set({ queued });
    const changedAt = clock.now();
    while (heard.at(-1)?.queued !== queued) await clock.advance(100);
    slowestMs = Math.max(slowestMs, clock.now() - changedAt);
  }
  client.close();
  return { ...result, slowestMs };
}

describe('a quiet hour', () => {
  const table: [number, number][] = [
    [8, 600],
    [10, 480],
    [15, 320],
    [20, 240],
    [24, 200],
    [30, 150],
    [60, 150],
    [100, 150],
  ];
  const rows = table.flatMap(([seconds, most]) => {
    const kinds = seconds === 8 || seconds === 20 ? KINDS : (['broken'] as const);
    return kinds.map((kind) => ({ seconds, kind, most }));
  });
  it.each(rows)('behind a cut at $seconds s with $kind: at most $most requests', async ({ seconds, kind, most }) => {
    const hour = await hourBehind(seconds * SECOND, kind);
    expect(hour.requests).toBeLessThanOrEqual(most);
    expect(hour.errors).toBeLessThanOrEqual(3);
    expect(hour.states).toEqual([]);
    expect(hour.slowestMs).toBeLessThanOrEqual(3 * SECOND);
  });

  it.each([
    [10, 8, 600],
    [60, 20, 240],
    [60, 55, 90],
    [120, 100, 70], // the server holds for a minute at most
  ])('waitSeconds %i behind a cut at %i s', async (waitSeconds, seconds, most) => {
    const hour = await hourBehind(seconds * SECOND, 504, { waitSeconds });
    expect(hour.requests).toBeLessThanOrEqual(most);
    expect([hour.errors, hour.states]).toEqual([0, []]);
    expect(hour.slowestMs).toBeLessThanOrEqual(3 * SECOND);
  });

  it.each([1, 3])('a cut at %i s: is polled or nearly so', async (seconds) => {
    const hour = await hourBehind(seconds * SECOND, 504);
    expect(hour.requests).toBeLessThanOrEqual(1250);
    expect([hour.errors, hour.states]).toEqual([0, []]);
    expect(hour.slowestMs).toBeLessThanOrEqual(3 * SECOND);
  });

  it.each([8, 20])('a path that swallows what is held for %i s: few are told', async (seconds) => {
    const hour = await hourBehind(seconds * SECOND, 'silent');
    expect(hour.errors).toBeLessThanOrEqual(3);
    expect(hour.requests).toBeLessThanOrEqual(1000);
  });

  it('requests that are held are refused at once: they are polled', async () => {
    const onError = vi.fn();
    const rig = createRig({ onError });
    rig.wire.fault = (sent) => (isHeld(sent) ? { status: 400, headers: {}, body: 'No such header' } : undefined);
    await rig.start();
    await rig.clock.advance(HOUR);
    expect(rig.wire.sent.length).toBeLessThanOrEqual(1250);
    expect(onError.mock.calls.length).toBeLessThanOrEqual(3);
  });

  it('answers take their time on the way: the margin is still found', async () => {
    const rig = createRig();
    const gateway = cutAfter(rig, 8 * SECOND, 504);
    rig.wire.fault = () => {
      const behind = gateway();
      if (typeof behind !== 'function') return behind;
      return async (request) => {
        await new Promise<void>((resolve) => void rig.clock.schedule(resolve, 700));
        const answer = await behind(request);
        await new Promise<void>((resolve) => void rig.clock.schedule(resolve, 700));
        return answer;
      };
    };
    await rig.start();
    await rig.clock.advance(HOUR);
    expect(rig.wire.sent.length).toBeLessThanOrEqual(600);
    expect(rig.states).toEqual(['connecting', 'live']);
  });
});

describe('what is learnt', () => {
  it('one cut is a restart: the next request is asked to be held for as long as before', async () => {
    const rig = createRig();
    await rig.start();
    rig.wire.fault = cutAfter(rig, 5 * SECOND, 'broken');
    await rig.clock.advance(5 * SECOND);
    rig.wire.fault = () => undefined;
    await rig.clock.advance(10 * MINUTE);
    expect(new Set(waits(rig))).toEqual(new Set(['wait=25']));
    expect(rig.states).toEqual(['connecting', 'live']);
  });

  it('one cut in between changes nothing, whenever it comes and whatever the gateway', async () => {
    const random = seededRandom(3);
    /** Requests in five minutes behind a gateway that is known, of which one held request breaks after `glitchMs`. */
    async function fiveMinutes(limitMs: number, atMs: number, glitchMs: number | null): Promise<number> {
      const rig = createRig();
      const behind = cutAfter(rig, limitMs, 504);
      rig.wire.fault = behind;
      await rig.start();
      await rig.clock.advance(2 * MINUTE + atMs);
      const before = rig.wire.sent.length;
      let isOver = glitchMs === null;
      rig.wire.fault = (sent) => {
        if (isOver || !isHeld(sent)) return behind();
        isOver = true;
        return () =>
          new Promise((_, reject) => void rig.clock.schedule(() => reject(new TypeError('reset')), glitchMs ?? 0));
      };
      await rig.clock.advance(5 * MINUTE);
      expect(rig.states).toEqual(['connecting', 'live']);
      rig.client.close();
      return rig.wire.sent.length - before;
    }
    for (let run = 0; run < 60; run += 1) {
      const limitMs = (5 + random() * 18) * SECOND;
      const atMs = random() * 10 * MINUTE;
      const glitchMs = random() ** 3 * 0.8 * limitMs;
      const without = await fiveMinutes(limitMs, atMs, null);
      const requests = await fiveMinutes(limitMs, atMs, glitchMs);
      expect(requests, `${limitMs} ms, ${atMs} ms, ${glitchMs} ms`).toBeLessThanOrEqual(without + 4);
    }
  });

  it('a path that heals is found out within 10 minutes', async () => {
    const rig = createRig();
    rig.wire.fault = cutAfter(rig, 8 * SECOND, 504);
    await rig.start();
    await rig.clock.advance(MINUTE);
    expect(waits(rig).at(-1)).toBe('wait=7');
    rig.wire.fault = () => undefined;
    await rig.clock.advance(10 * MINUTE);
    const healed = waits(rig).length;
    await rig.clock.advance(HOUR);
    expect(new Set(waits(rig).slice(healed))).toEqual(new Set(['wait=25']));
  });

  it('is kept through the background, and forgotten on another network', async () => {
    const rig = createRig();
    rig.network.set({ online: true, type: 'wifi' });
    rig.wire.fault = cutAfter(rig, 8 * SECOND, 504);
    await rig.start();
    await rig.clock.advance(MINUTE);
    rig.activity.set(false);
    rig.activity.set(true);
    await rig.clock.advance(SECOND);
    expect(waits(rig).at(-1)).toBe('wait=7');
    rig.network.set({ online: true, type: 'cellular' });
    await rig.clock.advance(SECOND);
    expect(waits(rig).at(-1)).toBe('wait=25');
  });

  it.each([
    ["this API's own", () => problem(503, 'unavailable')],
    ['one that asks for patience', () => ({ status: 503, headers: { 'retry-after': '1' }, body: '' })],
    ['too many requests', () => ({ status: 429, headers: {}, body: '' })],
  ])('nothing from an answer that is %s', async (_, answer) => {
    const rig = createRig();
    rig.wire.fault = (sent) => {
      if (!isHeld(sent)) return undefined;
      return () => new Promise((resolve) => void rig.clock.schedule(() => resolve(answer()), 10 * SECOND));
    };
    await rig.start();
    await rig.clock.advance(MINUTE);
    expect(rig.states).toContain('stale');
    expect(new Set(waits(rig))).toEqual(new Set(['wait=25']));
  });
});

describe('a network that is lost while a request is held', () => {
  const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse'];
  const table = TRANSPORTS.flatMap((transport) =>
    [0.5, 3, 12, 24].flatMap((seconds) => (['refuse', 'hang'] as const).map((then) => ({ transport, seconds, then }))),
  );
  it.each(table)('$transport, after $seconds s, then $then: is told', async ({ transport, seconds, then }) => {
    const onError = vi.fn();
    const rig = createRig({ transport, onError });
    await rig.start();
    await rig.clock.advance(100);
    rig.wire.fault = cutAfter(rig, seconds * SECOND, 'broken');
    rig.service.set({ queued: 1 }); // the next request is behind it
    rig.client.refresh();
    await rig.clock.advance(200);
    rig.wire.fault = () => then;
    await rig.clock.advance(seconds * SECOND - 200);
    const lostAt = rig.clock.now();
    while (rig.client.state === 'live') await rig.clock.advance(100);
    // A plain request has 10 s; the stream before it 5 s, and up to 4.5 s since a stream that did not last.
    const hangsMs = transport === 'sse' ? 20_000 : 10_200;
    expect(rig.clock.now() - lostAt).toBeLessThanOrEqual(then === 'hang' ? hangsMs : 5000);
    expect(rig.client.state).toBe('stale');
    expect(onError).toHaveBeenCalledTimes(1);
    rig.wire.fault = () => undefined;
    await rig.clock.advance(2 * SECOND);
    expect(rig.client.state).toBe('live');
    rig.client.close();
  });
});
