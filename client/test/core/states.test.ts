/** The state tells the truth: every way in and out of each. */
import { describe, expect, it, vi } from 'vitest';
import { StatusError } from '../../src/errors.js';
import { initialSnapshot, reduceSnapshot, type SnapshotEvent } from '../../src/snapshot.js';
import { settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';

describe('a run through all states', () => {
  it('stopped → connecting → live → stale → live → offline → live → stopped', async () => {
    const { clock, wire, service, network, client, states, start } = createRig();
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'idle', status: null });
    const stop = await start();
    await clock.advance(1000);
    wire.fault = () => 'refuse';
    service.set({ queued: 1 }); // the held request is answered; the next is refused
    await clock.advance(500);
    expect(client.getSnapshot()).toMatchObject({ state: 'stale', status: { queued: 1 } });
    wire.fault = () => undefined;
    await clock.advance(2000);
    network.set({ online: false, type: 'none' });
    network.set({ online: true, type: 'wifi' });
    await settle();
    stop();
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'idle', status: { queued: 1 } });
    expect(states).toEqual(['connecting', 'live', 'stale', 'live', 'offline', 'connecting', 'live']);
  });

  it('after trouble the first request is not held, so that it is live at once', async () => {
    const { clock, wire, client, start } = createRig();
    await start();
    await clock.advance(1000);
    wire.fault = () => 'refuse';
    await clock.advance(25_000);
    expect(client.state).toBe('stale');
    wire.fault = () => undefined;
    const before = wire.sent.length;
    await clock.advance(4_000);
    expect(client.state).toBe('live');
    expect(wire.sent[before]?.headers.prefer).toBeUndefined();
    expect(wire.sent[before + 1]?.headers.prefer).toBe('wait=25');
  });

  it('the snapshot is the same object until something in it changes', async () => {
    const { clock, client, start } = createRig();
    await start();
    const snapshot = client.getSnapshot();
    const onChange = vi.fn();
    client.watch(onChange);
    await clock.advance(120_000); // several answers, nothing new
    expect(client.getSnapshot()).toBe(snapshot);
    expect(onChange).not.toHaveBeenCalled();
  });

  it('says why a server has no counts yet, in its own word, and for how long nothing was heard', async () => {
    const { clock, service, client, start } = createRig();
    service.ready = false;
    await start();
    expect(client.getSnapshot()).toMatchObject({ state: 'connecting', error: { problem: 'counts-not-ready' } });
    expect(client.answerAgeMs).toBeNull();
    service.ready = true;
    await clock.advance(10_000);
    expect(client.state).toBe('live');
    service.ready = false;
    service.set({ queued: 1 });
    const before = client.answerAgeMs ?? 0;
    await clock.advance(10_000);
    expect(client.answerAgeMs).toBeGreaterThan(before);
  });

  it('a watcher alone keeps the connection, and lets go of it', async () => {
    const { wire, client } = createRig();
    const stop = client.watch(() => undefined);
    await settle();
    expect(client.state).toBe('live');
    stop();
    stop();
    await settle();
    expect(wire.inFlight).toBe(0);
    expect(client.state).toBe('stopped');
  });
});

describe('the reducer', () => {
  const status = { queued: 1, processing: 2, completed: 3, timestamp: 't' };
  const error = new StatusError('network', 'gone');
  const confirmed: SnapshotEvent = { type: 'confirmed', status, transport: 'sse' };
  const empty = initialSnapshot('sse');
  const live = reduceSnapshot(empty, confirmed);

  it.each<[string, SnapshotEvent, object]>([
    ['failed', { type: 'failed', error }, { state: 'stale', error, status }],
    ['offline', { type: 'offline' }, { state: 'offline', status }],
    ['stopped', { type: 'stopped', reason: 'background' }, { state: 'stopped', reason: 'background', status }],
    ['connecting', { type: 'connecting', transport: 'poll' }, { state: 'connecting', transport: 'poll', status }],
  ])('keeps the numbers when %s', (_, event, expected) => {
    expect(reduceSnapshot(live, event)).toMatchObject(expected);
  });

  it('has no stale numbers where there are none', () => {
    expect(reduceSnapshot(empty, { type: 'failed', error })).toMatchObject({ state: 'connecting', error });
  });

  it('forgets the error and the reason with the next success', () => {
    const stopped = reduceSnapshot(live, { type: 'stopped', reason: 'unauthorized', error });
    expect(stopped).toMatchObject({ reason: 'unauthorized', error });
    expect(reduceSnapshot(stopped, confirmed)).toMatchObject({ state: 'live', reason: null, error: null });
  });

  it('returns the same object when nothing changed', () => {
    expect(reduceSnapshot(live, confirmed)).toBe(live);
  });
});
