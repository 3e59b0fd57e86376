/** A device that says that it is offline, and is wrong. */
import { describe, expect, it, vi } from 'vitest';
import type { Transport } from '../../src/types.js';
import { healthyHour } from '../support/healthy-hour.js';
import { createRig, type Rig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

const MINUTE = 60_000;
const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];
const OFFLINE = { online: false, type: 'none' };

describe.each(TRANSPORTS)('a false "offline" (%s)', (transport) => {
  const startOffline = async (rig: Rig, isFirst: boolean): Promise<void> => {
    if (isFirst) rig.network.set(OFFLINE);
    await rig.start();
    rig.network.set(OFFLINE);
  };

  it.each([
    ['from the start', true],
    ['later', false],
  ])('%s: live after a minute, at no more requests than usual', async (_, isFirst) => {
    const onError = vi.fn();
    const rig = createRig({ transport, onError });
    const { clock, wire, service, client, heard } = rig;
    await startOffline(rig, isFirst);
    await clock.advance(MINUTE - 1);
    expect(client.state).toBe('offline');
    await clock.advance(1);
    expect(client.state).toBe('live');
    await clock.advance(59 * MINUTE);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport });
    expect(wire.sent.length).toBeLessThanOrEqual((await healthyHour(transport)) + 2);
    service.set({ queued: 1 });
    await clock.advance(3000);
    expect(heard.at(-1)?.queued).toBe(1);
    expect(onError).not.toHaveBeenCalled();
    client.close();
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });

  it('during an outage that ends: live within 5 minutes of its end', async () => {
    for (const lastsMs of [0, 90_000, 3 * MINUTE, 8 * MINUTE, 63 * MINUTE]) {
      const onError = vi.fn();
      const rig = createRig({ transport, onError });
      const { clock, wire, client } = rig;
      await startOffline(rig, false);
      wire.fault = () => 'refuse';
      await clock.advance(lastsMs);
      expect(client.state).toBe('offline');
      wire.fault = () => undefined;
      const before = wire.sent.length;
      await clock.advance(5 * MINUTE);
      expect(client.state, `${lastsMs}`).toBe('live');
      await clock.advance(55 * MINUTE);
      expect(wire.sent.length - before).toBeLessThanOrEqual(2 * (await healthyHour(transport)));
      expect(onError).not.toHaveBeenCalled(); // "offline" says it
      client.close();
    }
  });

  it('refresh() looks at once, and the state stays offline until that is answered', async () => {
    const rig = createRig({ transport });
    const { clock, wire, client, states } = rig;
    await startOffline(rig, true);
    wire.fault = () => 'refuse';
    client.refresh();
    await clock.advance(0);
    expect(wire.sent.length).toBe(1);
    wire.fault = () => undefined;
    client.refresh();
    expect(client.state).toBe('offline');
    await clock.advance(0);
    expect(client.state).toBe('live');
    expect(states).toEqual(['offline', 'live']);
    client.close();
  });

  it('refresh() again and again is bounded as everything is', async () => {
    const rig = createRig({ transport });
    const { clock, wire, client } = rig;
    await startOffline(rig, true);
    wire.fault = () => 'refuse';
    for (let i = 0; i < 1000; i += 1) {
      client.refresh();
      await clock.advance(10);
    }
    expect(wire.sent.length).toBeLessThanOrEqual(20 + 10 + 1);
    client.close();
  });

  it('was true after all: offline again with the next failure, which is told', async () => {
    const onError = vi.fn();
    const rig = createRig({ transport, onError });
    const { clock, wire, service, client, states } = rig;
    await startOffline(rig, true);
    await clock.advance(2 * MINUTE);
    wire.fault = () => 'refuse';
    service.set({ queued: 1 });
    service.token = 'gone'; // ends what is under way
    client.refresh();
    const before = wire.sent.length;
    await clock.advance(10 * MINUTE);
    expect(client.state).toBe('offline');
    expect(states.at(-1)).toBe('offline');
    expect(states).not.toContain('stale');
    expect(wire.sent.length - before).toBeLessThanOrEqual(1 + 3);
    expect(onError).toHaveBeenCalledTimes(1);
    client.close();
  });

  it('a token that is refused then says so', async () => {
    const rig = createRig({ transport });
    const { clock, service, client } = rig;
    await startOffline(rig, true);
    await clock.advance(2 * MINUTE);
    service.token = 'next';
    client.refresh();
    await clock.advance(10);
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'unauthorized' });
    client.close();
  });

  it.each([
    ['401', problem(401, 'Token refused', {}, 'unauthorized'), { state: 'stopped', reason: 'unauthorized' }],
    ['an empty 401', { status: 401, headers: {}, body: '' }, { state: 'stopped', reason: 'unauthorized' }],
    ['403', problem(403, 'Not yours', {}, 'case-not-permitted'), { state: 'stopped', reason: 'unauthorized' }],
    ['503', problem(503, 'Not ready', {}, 'counts-not-ready'), { state: 'connecting', reason: null }],
  ])('a %s of this API is an answer as well: the state says what it says', async (_, answer, expected) => {
    const onError = vi.fn();
    const rig = createRig({ transport, onError });
    const { clock, wire, client } = rig;
    wire.fault = () => answer;
    await startOffline(rig, true);
    await clock.advance(MINUTE);
    expect(client.getSnapshot()).toMatchObject({ ...expected, error: { httpStatus: answer.status } });
    expect(onError).toHaveBeenCalledTimes(1);
    wire.fault = () => undefined;
    client.refresh();
    await clock.advance(10);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', error: null });
    client.close();
  });

  it('after such an answer a network that is lost is offline again', async () => {
    const rig = createRig({ transport });
    rig.service.ready = false;
    await startOffline(rig, true);
    await rig.clock.advance(MINUTE);
    expect(rig.client.state).toBe('connecting');
    rig.wire.fault = () => 'refuse';
    await rig.clock.advance(30_000);
    expect(rig.client.state).toBe('offline');
    rig.client.close();
  });

  it("a portal's answer proves nothing: it stays offline", async () => {
    const rig = createRig({ transport });
    rig.wire.fault = () => ({ status: 503, headers: { 'content-type': 'text/html' }, body: 'Pay' });
    await startOffline(rig, true);
    await rig.clock.advance(10 * MINUTE);
    expect(rig.client.state).toBe('offline');
    rig.client.close();
  });

  it('online again, and offline again: each word of the device counts anew', async () => {
    const rig = createRig({ transport });
    const { clock, network, client } = rig;
    await startOffline(rig, true);
    await clock.advance(2 * MINUTE);
    expect(client.state).toBe('live');
    network.set({ online: true, type: 'wifi' });
    await clock.advance(100);
    expect(client.state).toBe('live');
    network.set(OFFLINE);
    expect(client.state).toBe('offline');
    await clock.advance(MINUTE);
    expect(client.state).toBe('live');
    client.close();
  });
});
