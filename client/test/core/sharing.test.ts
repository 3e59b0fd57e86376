/** Many listeners, one connection; and nothing left behind when they have gone. */
import { describe, expect, it, vi } from 'vitest';
import type { Transport } from '../../src/types.js';
import { settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

describe('listeners', () => {
  it.each(['long-poll', 'sse', 'poll'] as const)('100 listeners share 1 connection (%s)', async (transport) => {
    const { clock, wire, service, client } = createRig({ transport });
    const counts = Array.from({ length: 100 }, () => vi.fn());
    const stops = counts.map((listener) => client.subscribe(listener));
    await clock.advance(10_000);
    service.set({ queued: 3 });
    await clock.advance(10_000);
    expect(wire.maxInFlight).toBe(1);
    expect(wire.sent.length).toBeLessThanOrEqual(transport === 'poll' ? 8 : 4);
    for (const listener of counts) {
      expect(listener.mock.calls.map(([status]) => status.queued)).toEqual([0, 3]);
    }
    for (const stop of stops) stop();
    await settle();
    expect(wire.inFlight + service.waiters + clock.pending).toBe(0);
  });

  it('1,000 subscribe and unsubscribe cycles in one go send nothing and leave nothing', async () => {
    const { clock, wire, service, activity, network, client } = createRig();
    for (let i = 0; i < 1000; i += 1) client.subscribe(() => undefined)();
    await clock.advance(60_000);
    expect(wire.sent).toEqual([]);
    expect([wire.inFlight, service.waiters, clock.pending, activity.listening, network.listening]).toEqual([
      0, 0, 0, 0, 0,
    ]);
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'idle' });
  });

  it('cycles in one go do not use up the bucket: the next listener is served at once', async () => {
    const { wire, client } = createRig();
    for (let i = 0; i < 1000; i += 1) client.subscribe(() => undefined)();
    client.subscribe(() => undefined);
    await settle();
    expect(wire.sent).toHaveLength(1);
    expect(client.state).toBe('live');
  });

  it('1,000 cycles, each with its request under way: one at a time, bounded, none dangling', async () => {
    const { clock, wire, service, activity, network, client } = createRig();
    for (let i = 0; i < 1000; i += 1) {
      const stop = client.subscribe(() => undefined);
      const unwatch = client.watch(() => undefined);
      await clock.advance(5);
      unwatch();
      stop();
    }
    await settle();
    expect(wire.maxInFlight).toBe(1);
    expect(wire.sent.length).toBeLessThanOrEqual(20 + 5 + 1); // the bucket: 20 and one a second
    expect([wire.inFlight, service.waiters, clock.pending, activity.listening, network.listening]).toEqual([
      0, 0, 0, 0, 0,
    ]);
  });

  it('a listener that comes later is told what is known, without a request', async () => {
    const { clock, wire, service, client, start } = createRig();
    service.counts = { queued: 4, input: 5, output: 6 };
    await start();
    await clock.advance(1000);
    const before = wire.sent.length;
    const late = vi.fn();
    client.subscribe(late);
    expect(late).not.toHaveBeenCalled();
    await settle();
    expect(late.mock.calls.map(([status]) => status)).toEqual([
      { queued: 4, processing: 5, completed: 6, timestamp: '2026-11-22T18:20:31.000Z' },
    ]);
    expect(wire.sent.length).toBe(before);
  });

  it('a listener that comes while an answer is being told hears it once', async () => {
    const { clock, client } = createRig();
    const heard = vi.fn();
    const stop = client.watch(() => {
      if (client.state !== 'live') return;
      client.subscribe(heard);
      stop();
    });
    await clock.advance(10);
    expect(heard).toHaveBeenCalledTimes(1);
    client.close();
  });

  it('a listener that comes back is told again, though the server answers 304', async () => {
    const { clock, service, client } = createRig();
    service.counts = { queued: 4, input: 0, output: 0 };
    const first = vi.fn();
    const stop = client.subscribe(first);
    await clock.advance(10);
    stop();
    const second = vi.fn();
    client.subscribe(second);
    await clock.advance(10);
    expect(first).toHaveBeenCalledTimes(1);
    expect(second).toHaveBeenCalledTimes(1);
  });

  it('no late answer after unsubscribe, even when fetch ignores its signal', async () => {
    const { clock, service, wire, client } = createRig();
    const heard = vi.fn();
    let answer = (): void => undefined;
    wire.fault = () => (request) =>
      new Promise((resolve, reject) => {
        answer = () => service.handle({ ...request, signal: new AbortController().signal }).then(resolve, reject);
      });
    const stop = client.subscribe(heard);
    await clock.advance(10);
    stop();
    answer();
    await clock.advance(1000);
    expect(heard).not.toHaveBeenCalled();
    expect(client.getSnapshot().status).toBeNull();
  });

  it('leaving while getToken takes its time sends nothing', async () => {
    let give = (_token: string): void => undefined;
    const getToken = () => new Promise<string>((resolve) => (give = resolve));
    const { clock, wire, client } = createRig({ getToken });
    const stop = client.subscribe(() => undefined);
    await clock.advance(10);
    stop();
    give('secret');
    await clock.advance(1000);
    expect(wire.sent).toEqual([]);
  });

  it('unsubscribing inside a listener stops the others that went with it', async () => {
    const { clock, client } = createRig();
    const second = vi.fn();
    const stops: (() => void)[] = [];
    client.subscribe(() => {
      for (const stop of stops) stop();
    });
    stops.push(client.subscribe(second));
    await clock.advance(10);
    expect(second).not.toHaveBeenCalled();
  });

  it('a listener that throws is reported, and harms neither the others nor the connection', async () => {
    const onError = vi.fn();
    const { clock, service, client } = createRig({ onError });
    const healthy = vi.fn();
    client.subscribe(() => {
      throw new Error('mine');
    });
    client.subscribe(healthy);
    await clock.advance(1000);
    service.set({ output: 1 });
    await clock.advance(1000);
    expect(healthy).toHaveBeenCalledTimes(2);
    expect(onError).toHaveBeenCalledTimes(2);
    expect(client.state).toBe('live');
  });

  it.each<Transport>(['poll', 'long-poll', 'sse'])(
    'with everyAnswer a listener is called for answers alone, whoever comes (%s)',
    async (transport) => {
      const { clock, wire, client } = createRig({ transport });
      wire.fault = ({ url }) => (url.endsWith('/stream') ? 'hang' : undefined); // to long poll, as soon as that is known
      const heard = vi.fn();
      client.subscribe(heard, { everyAnswer: true });
      await clock.advance(transport === 'sse' ? 10 : 100);
      for (let i = 0; i < 40; i += 1) {
        const calls = heard.mock.calls.length;
        client.subscribe(() => undefined, { everyAnswer: i % 2 === 0 });
        await settle();
        expect(heard).toHaveBeenCalledTimes(calls);
        await clock.advance(300);
      }
      const answers = wire.sent.filter(({ url }) => !url.endsWith('/stream')).length - wire.inFlight;
      expect(heard).toHaveBeenCalledTimes(answers);
      expect(client.getSnapshot().transport).toBe(transport === 'sse' ? 'long-poll' : transport);
      client.close();
    },
  );

  const resetting = ['a listener', 'a watcher'].flatMap((who) => [true, false].map((same) => [who, same] as const));
  it.each(resetting)(
    'reset() in %s: the others hear of the next account alone (version the same: %j)',
    async (who, same) => {
      const { clock, service, client } = createRig();
      service.counts = { queued: 1, input: 0, output: 0 };
      let isDone = false;
      const reset = (): void => {
        if (isDone || client.getSnapshot().status === null) return;
        isDone = true;
        if (same) service.counts = { queued: 2, input: 0, output: 0 };
        else service.set({ queued: 2 });
        client.reset();
      };
      if (who === 'a listener') client.subscribe(reset);
      else client.watch(reset);
      const heard = vi.fn();
      client.subscribe(heard);
      await clock.advance(1000);
      expect(heard.mock.calls.map(([status]) => status.queued)).toEqual([2]);
      client.close();
    },
  );

  it('who watches again when told of close() opens it again, and is the one who closes it', async () => {
    const { clock, service, client } = createRig();
    const [former, seen] = [vi.fn(), vi.fn()];
    let stop = (): void => undefined;
    client.watch(() => {
      former();
      if (client.getSnapshot().reason === 'closed')
        stop = client.watch(() => seen(client.getSnapshot().status?.queued));
    });
    await clock.advance(100);
    client.close();
    const calls = former.mock.calls.length;
    await clock.advance(100);
    service.set({ queued: 9 });
    await clock.advance(100);
    expect(client.state).toBe('live');
    expect(seen).toHaveBeenLastCalledWith(9);
    expect(former).toHaveBeenCalledTimes(calls);
    stop();
    await settle();
    expect(client.state).toBe('stopped');
    expect(clock.pending + service.waiters).toBe(0);
  });

  it('close() lets go of everyone', async () => {
    const { clock, service, wire, client, heard, start } = createRig();
    await start();
    client.close();
    await settle();
    const before = wire.sent.length;
    service.set({ queued: 9 });
    await clock.advance(60_000);
    expect(heard.length).toBe(1);
    expect(wire.sent.length).toBe(before);
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'closed' });
  });

  it.each([
    ['at once, as in StrictMode', 0],
    ['later, as a screen that was hidden', 60_000],
  ])('who comes after close() opens it again: %s', async (_, afterMs) => {
    const { clock, service, client, heard, start } = createRig();
    const leave = await start();
    client.close();
    if (afterMs) await clock.advance(afterMs);
    service.set({ queued: 9 });
    const ways = [
      () => client.watch(() => undefined),
      () => client.subscribe((status) => heard.push({ ...status, completed: -1 })),
    ];
    for (const come of ways) {
      const stop = come();
      await clock.advance(1000);
      leave(); // again, and late: ends nothing of anybody else's
      expect(client.getSnapshot()).toMatchObject({ state: 'live', status: { queued: 9 } });
      stop();
      client.close();
    }
    expect(heard.map(({ queued, completed }) => [queued, completed])).toEqual([
      [0, 0],
      [9, -1],
    ]);
    await settle();
    expect(clock.pending + service.waiters).toBe(0);
  });

  it('never two requests at a time, however it is switched', async () => {
    const { clock, wire, activity, network, client, start } = createRig();
    await start();
    for (let i = 0; i < 200; i += 1) {
      if (i % 3 === 0) activity.set(i % 2 === 0);
      if (i % 5 === 0) network.set({ online: i % 4 !== 0, type: i % 2 ? 'wifi' : 'cellular' });
      if (i % 7 === 0) client.refresh();
      await clock.advance(37);
    }
    expect(wire.maxInFlight).toBe(1);
    expect(wire.sent.length).toBeLessThanOrEqual(20 + Math.ceil((200 * 37) / 1000) + 1);
    client.close();
    await settle();
    expect(wire.inFlight + clock.pending).toBe(0);
  });

  it('the token bucket holds whatever the server answers', async () => {
    const { clock, wire, service, start } = createRig();
    let revision = 0;
    wire.fault = () => {
      revision += 1; // every answer is a new version, at once: nothing is ever held
      service.goTo(revision % 2, {});
      return (request) => service.handle({ ...request, headers: { authorization: 'Bearer secret' } });
    };
    await start();
    await clock.advance(60_000);
    expect(wire.sent.length).toBeLessThanOrEqual(20 + 60 + 1);
    expect(wire.sent.length).toBeGreaterThan(60);
  });

  it('an answer that is never held is asked for at the interval', async () => {
    const { clock, wire, service, client, start } = createRig();
    wire.fault = () => (request) => {
      const { prefer: _, ...headers } = request.headers;
      return service.handle({ ...request, headers, target: request.target.replace(/&wait=\d+/, '') });
    };
    await start();
    await clock.advance(60_000);
    expect(wire.sent.length).toBeLessThanOrEqual(22);
    expect(client.state).toBe('live');
  });

  it('errors never spin: 429 without Retry-After, for 10 minutes', async () => {
    const { clock, wire, start } = createRig({ random: () => 0 }); // the worst jitter there is
    wire.fault = () => problem(429, 'Slow down');
    await start();
    await clock.advance(600_000);
    expect(wire.sent.length).toBeLessThanOrEqual(20 + 600 + 1);
  });
});
