/** What a listening, idle, hidden or offline client costs. */
import { describe, expect, it } from 'vitest';
import { netInfoNetwork } from '../../src/index.js';
import { settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';

const MINUTE = 60_000;

describe('requests', () => {
  it('idle long poll: at most 3 a minute over 10 minutes', async () => {
    const { clock, wire, client, start } = createRig();
    await start();
    await clock.advance(MINUTE);
    const afterFirst = wire.sent.length;
    await clock.advance(9 * MINUTE);
    expect(afterFirst).toBeLessThanOrEqual(4); // the first answer and three that are held
    expect((wire.sent.length - afterFirst) / 9).toBeLessThanOrEqual(3);
    expect(wire.sent.length).toBeGreaterThan(10 * 2);
    expect(client.state).toBe('live');
  });

  it('idle stream: one request for each bounded life', async () => {
    const { clock, wire, client, start } = createRig({ transport: 'sse' });
    await start();
    await clock.advance(10 * MINUTE);
    expect(wire.sent.length).toBeLessThanOrEqual(4);
    expect(client.state).toBe('live');
  });

  it('in the background: none, and the one in flight is aborted', async () => {
    const { clock, wire, service, activity, client, start } = createRig();
    await start();
    await clock.advance(MINUTE);
    expect(wire.inFlight).toBe(1);
    activity.set(false);
    await settle();
    const before = wire.sent.length;
    expect(wire.inFlight).toBe(0);
    expect(service.waiters).toBe(0);
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'background' });
    await clock.advance(10 * MINUTE);
    expect(wire.sent.length - before).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('offline: the one in flight is aborted; then a look after a minute, 2, 4, and every 5', async () => {
    const { clock, wire, service, network, client, start } = createRig();
    await start();
    await clock.advance(MINUTE);
    wire.fault = () => 'refuse';
    network.set({ online: false, type: 'none' });
    await settle();
    const [before, offlineAt] = [wire.sent.length, clock.now()];
    expect(wire.inFlight + service.waiters).toBe(0);
    expect(client.state).toBe('offline');
    await clock.advance(60 * MINUTE);
    const looks = wire.sent.slice(before);
    const minutes = looks.map(({ at }) => (at - offlineAt) / MINUTE);
    expect(minutes).toEqual([1, 3, 7, 12, 17, 22, 27, 32, 37, 42, 47, 52, 57]);
    expect(looks.filter(({ headers }) => 'prefer' in headers)).toEqual([]);
    expect(client.state).toBe('offline');
  });

  it('offline in the background: none', async () => {
    const { clock, wire, network, activity, client, start } = createRig();
    await start();
    network.set({ online: false, type: 'none' });
    activity.set(false);
    await settle();
    const before = wire.sent.length;
    await clock.advance(60 * MINUTE);
    expect(wire.sent.length - before).toBe(0);
    expect([clock.pending, client.state]).toEqual([0, 'stopped']);
  });

  it('foreground again: asks at once, and says what it knows to be unconfirmed until then', async () => {
    const { clock, wire, service, activity, client, heard, start } = createRig();
    await start();
    activity.set(false);
    await clock.advance(MINUTE);
    service.set({ queued: 7 });
    activity.set(true);
    expect(client.state).toBe('connecting');
    const before = wire.sent.length;
    await clock.advance(0);
    expect(wire.sent.length - before).toBe(1);
    expect(client.state).toBe('live');
    expect(heard.at(-1)?.queued).toBe(7);
  });

  it('online again: asks at once', async () => {
    const { clock, wire, network, client, start } = createRig();
    await start();
    network.set({ online: false, type: 'none' });
    await clock.advance(MINUTE);
    const before = wire.sent.length;
    network.set({ online: true, type: 'wifi' });
    await clock.advance(0);
    expect(wire.sent.length - before).toBe(1);
    expect(client.state).toBe('live');
  });

  it('starting in the background: none at all; offline: none in the first minute', async () => {
    const hidden = createRig();
    hidden.activity.set(false);
    await hidden.start();
    const offline = createRig();
    offline.network.set({ online: false, type: 'none' });
    await offline.start();
    await hidden.clock.advance(MINUTE);
    await offline.clock.advance(MINUTE - 1);
    expect(hidden.wire.sent).toEqual([]);
    expect(offline.wire.sent).toEqual([]);
  });

  it('plain polling follows the network: 2 s on Wi-Fi, 5 s elsewhere, and moves over at once', async () => {
    const { clock, wire, network, start } = createRig({ transport: 'poll' });
    network.set({ online: true, type: 'wifi' });
    await start();
    await clock.advance(20_000);
    expect(wire.sent.length).toBe(11);
    network.set({ online: true, type: 'cellular' });
    await clock.advance(20_000);
    expect(wire.sent.length).toBe(11 + 1 + 4);
  });

  it("the client's option wins over the network's", async () => {
    const { clock, wire, network, start } = createRig({ transport: 'poll', intervalMs: 30_000 });
    network.set({ online: true, type: 'wifi' });
    await start();
    await clock.advance(10 * MINUTE);
    expect(wire.sent.length).toBe(21);
  });

  it('the gap that is running follows who comes and goes', async () => {
    for (let joinsAtMs = 100; joinsAtMs < 8000; joinsAtMs += 700) {
      const { clock, wire, client } = createRig({ transport: 'poll' });
      client.subscribe(() => undefined, { intervalMs: 8000 });
      await clock.advance(joinsAtMs);
      const leave = client.subscribe(() => undefined, { intervalMs: 1000 });
      await clock.advance(1500);
      leave();
      await clock.advance(20_000);
      const first = Math.max(joinsAtMs, 1000);
      const second = first + 1000 <= joinsAtMs + 1500 ? [first + 1000] : [];
      const last = second[0] ?? first;
      expect(wire.times).toEqual([0, first, ...second, last + 8000, last + 16_000]);
      client.close();
    }
  });

  it('the gap that is running follows the network, once its kind is known', async () => {
    const { clock, wire, network, start } = createRig({ transport: 'poll' });
    await start();
    await clock.advance(1000);
    network.set({ online: true, type: 'cellular' });
    await clock.advance(3000);
    expect(wire.times).toEqual([0]);
    await clock.advance(2000);
    expect(wire.times).toEqual([0, 5000]);
  });

  it('NetInfo that does not know the network yet and then does ends no request', async () => {
    let say = (_state: { isConnected: boolean | null; type: string }): void => undefined;
    const network = netInfoNetwork({
      addEventListener(run) {
        say = run;
        run({ isConnected: null, type: 'unknown' });
        return () => undefined;
      },
    });
    const { clock, wire, client, start } = createRig({ network });
    await start();
    await clock.advance(1000);
    const before = wire.sent.length;
    say({ isConnected: true, type: 'wifi' });
    await clock.advance(1000);
    expect([client.state, wire.sent.length, wire.inFlight]).toEqual(['live', before, 1]);
    client.close();
  });

  it('no back-off is cut short by who comes and goes', async () => {
    const { clock, wire, client, start } = createRig({ random: () => 0 });
    wire.fault = () => ({ status: 503, headers: { 'retry-after': '60' }, body: '' });
    await start();
    for (let i = 0; i < 59; i += 1) {
      await clock.advance(1000);
      client.subscribe(() => undefined, { intervalMs: 0 })();
    }
    expect(wire.times).toEqual([0]);
  });

  it("a listener's own interval wins over the network's, and the smallest wins", async () => {
    const { clock, wire, network, client } = createRig({ transport: 'poll' });
    network.set({ online: true, type: 'cellular' });
    client.subscribe(() => undefined, { intervalMs: 4000 });
    client.subscribe(() => undefined, { intervalMs: 1000 });
    await clock.advance(10_000);
    expect(wire.sent.length).toBe(11);
  });
});
