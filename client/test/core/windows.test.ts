/** Who may hold a connection, of all the windows of an origin. The browser's own locks: test/browser/windows.test.ts. */
import { describe, expect, it, vi } from 'vitest';
import { takeHeldConnection } from '../../src/windows.js';
import { settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';

/** Web Locks, as far as they are used. */
class Locks {
  readonly held = new Set<string>();

  readonly request = async (
    name: string,
    _: { ifAvailable: true },
    run: (lock: object | null) => Promise<void> | null,
  ): Promise<void> => {
    if (this.held.has(name)) return void (await run(null));
    this.held.add(name);
    await run({ name });
    this.held.delete(name);
  };
}

function open(locks: unknown): void {
  vi.stubGlobal('document', { visibilityState: 'visible' });
  vi.stubGlobal('navigator', { locks });
}

describe('a held connection', () => {
  it('is for four at a time, and for another when one lets go', async () => {
    const locks = new Locks();
    open(locks);
    const windows = Array.from({ length: 6 }, () => new AbortController());
    const taken: boolean[] = [];
    for (const { signal } of windows) taken.push(await takeHeldConnection(signal));
    expect(taken).toEqual([true, true, true, true, false, false]);
    windows[2]?.abort();
    await settle();
    expect(await takeHeldConnection(windows[5]!.signal)).toBe(true);
    for (const window of windows) window.abort();
    await settle();
    expect(locks.held.size).toBe(0);
  });

  it('is let go at once by who has left meanwhile', async () => {
    const locks = new Locks();
    open(locks);
    await takeHeldConnection(AbortSignal.abort());
    await settle();
    expect(locks.held.size).toBe(0);
  });

  it.each<[string, unknown]>([
    ['there are no locks (http, old browsers)', undefined],
    ['they are refused (a sandboxed frame)', { request: () => Promise.reject(new DOMException('', 'SecurityError')) }],
  ])('is for everybody where %s', async (_, locks) => {
    open(locks);
    for (let i = 0; i < 8; i += 1) expect(await takeHeldConnection(new AbortController().signal)).toBe(true);
  });

  it('is for everybody where there is no page', async () => {
    vi.stubGlobal('navigator', { locks: new Locks() });
    for (let i = 0; i < 8; i += 1) expect(await takeHeldConnection(new AbortController().signal)).toBe(true);
  });
});

describe.each(['long-poll', 'sse'] as const)('a client without one (%s)', (transport) => {
  it('polls, and holds as soon as there is one; hidden, it has none', async () => {
    const locks = new Locks();
    open(locks);
    const others = Array.from({ length: 4 }, () => new AbortController());
    for (const { signal } of others) await takeHeldConnection(signal);
    const { clock, wire, service, activity, client, start } = createRig({ transport });
    await start();
    await clock.advance(10_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'poll' });
    expect([wire.sent.length, service.waiters]).toEqual([4, 0]);
    others[0]?.abort();
    await clock.advance(3_000);
    expect(service.waiters).toBe(1);
    service.set({ queued: 1 });
    await settle();
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport, status: { queued: 1 } });
    activity.set(false);
    await settle();
    expect(locks.held.size).toBe(3);
    activity.set(true);
    await settle();
    expect(locks.held.size).toBe(4);
    client.close();
    await settle();
    expect(locks.held.size).toBe(3);
  });
});

it('a client that polls anyway takes none', async () => {
  const locks = new Locks();
  open(locks);
  const { client, start } = createRig({ transport: 'poll' });
  await start();
  expect(client.state).toBe('live');
  expect(locks.held.size).toBe(0);
});
