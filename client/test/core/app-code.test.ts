/** Whatever the app's own code does when it is called, the connection lives. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { StatusClient, StatusClientOptions, Transport } from '../../src/types.js';
import { createRig, type Rig } from '../support/rig.js';

const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];
/** The first back-off of a row. */
const BACKOFF_MS = 1000;

const THROWN = [new Error('mine'), undefined, null, 'text', Symbol('symbol'), Object.create(null)] as const;
type Failing = () => never;
const FAILURES = {
  'at once': (thrown: unknown) => (): unknown => {
    throw thrown;
  },
  'later, as a promise': (thrown: unknown) => (): unknown => Promise.reject(thrown),
  'later, as a thenable': (thrown: unknown) => (): unknown => ({
    then: (_: unknown, reject: (reason: unknown) => void) => setImmediate(() => reject(thrown)),
  }),
} as const;
type When = keyof typeof FAILURES;

/** Where an app's code is called: as an option, or as something that is added to the client. */
const CALLBACKS = {
  onError: (fail) => ({ onError: fail }),
  getToken: (fail, ok) => ({ getToken: () => (ok() ? 'secret' : fail()) }),
  baseUrl: (fail, ok) => ({ baseUrl: () => (ok() ? 'https://status.test/api' : fail()) }),
  activity: (fail) => ({ activity: { subscribe: fail } }),
  'activity that said "hidden"': (fail) => ({
    activity: {
      subscribe(onChange) {
        onChange(false);
        return fail();
      },
    },
  }),
  'end of activity': (fail) => ({ activity: { subscribe: () => fail } }),
  network: (fail) => ({ network: { subscribe: fail } }),
  'network that said "offline"': (fail) => ({
    network: {
      subscribe(onChange) {
        onChange({ online: false, type: 'none' });
        return fail();
      },
    },
  }),
  'end of network': (fail) => ({ network: { subscribe: () => fail } }),
  listener: (fail) => (client) => client.subscribe(fail),
  watcher: (fail) => (client) => client.watch(fail),
} satisfies Record<
  string,
  (fail: Failing, ok: () => boolean) => Partial<StatusClientOptions> | ((client: StatusClient) => () => void)
>;
type Name = keyof typeof CALLBACKS;

const unhandled = vi.fn();
let logged: ReturnType<typeof vi.spyOn>;
beforeEach(() => {
  process.on('unhandledRejection', unhandled);
  logged = vi.spyOn(console, 'error').mockImplementation(() => undefined);
});
afterEach(() => {
  process.off('unhandledRejection', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

/** A rig in which `name` fails whenever it is called; what is asked for, until `mend()`. */
function rigWith(name: Name, when: When, transport: Transport, thrown: unknown): Rig & { mend(): void } {
  let ok = false;
  const made = CALLBACKS[name](FAILURES[when](thrown) as Failing, () => ok);
  const isOption = typeof made === 'object';
  const rig = createRig({ transport, ...(isOption ? made : {}) });
  if (!isOption) made(rig.client);
  return { ...rig, mend: () => (ok = true) };
}

const isAsked = (name: Name): boolean => name === 'getToken' || name === 'baseUrl';

const table = TRANSPORTS.flatMap((transport) =>
  (Object.keys(FAILURES) as When[]).flatMap((when) =>
    (Object.keys(CALLBACKS) as Name[]).map((name) => ({ name, when, transport })),
  ),
);
const rows = table.map((row, i) => ({ ...row, thrown: THROWN[i % THROWN.length] }));

describe('live within one back-off, and nothing unhandled', () => {
  it.each(rows)('$name fails $when ($transport)', async ({ name, when, transport, thrown }) => {
    const { clock, wire, service, client, heard, start, mend } = rigWith(name, when, transport, thrown);
    await start();
    mend();
    await clock.advance(isAsked(name) ? BACKOFF_MS : 0);
    expect(client.state).toBe('live');

    wire.fault = () => 'refuse'; // an error for `onError` and another state for watchers
    client.refresh();
    await clock.advance(0);
    expect(client.state).toBe('stale');
    wire.fault = () => undefined;
    service.set({ queued: 1 });
    await clock.advance(BACKOFF_MS);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport, status: { queued: 1 } });
    expect(heard.at(-1)?.queued).toBe(1);

    client.close();
    await clock.advance(0);
    expect(clock.pending + wire.inFlight).toBe(0);
  });
});

describe('what the app throws', () => {
  const mine = new Error('mine');
  const told = async (name: Name, onError?: (thrown: unknown) => void): Promise<void> => {
    const made = CALLBACKS[name](FAILURES['at once'](mine) as Failing, () => true);
    const rig = createRig({ ...(typeof made === 'object' ? made : {}), ...(onError && { onError }) });
    if (typeof made === 'function') made(rig.client);
    await rig.start();
    rig.client.close();
    await rig.clock.advance(0);
  };
  const REPORTED: readonly Name[] = ['activity', 'network', 'end of activity', 'end of network', 'listener', 'watcher'];

  it.each(REPORTED)('%s: goes to onError', async (name) => {
    const onError = vi.fn();
    await told(name, onError);
    expect(onError).toHaveBeenCalledWith(mine);
    expect(logged).not.toHaveBeenCalled();
  });

  it.each(REPORTED)('%s: goes to the console without one', async (name) => {
    await told(name);
    expect(logged).toHaveBeenCalledWith(mine);
  });

  it.each(REPORTED)('%s: goes nowhere if the console throws too, as some test runners make it', async (name) => {
    logged.mockImplementation(() => {
      throw new Error('no console.error in tests');
    });
    await told(name);
    await told(name, () => {
      throw new Error('onError too');
    });
  });

  it('getToken and baseUrl: is the cause of a failure', async () => {
    for (const name of ['getToken', 'baseUrl'] as const) {
      const onError = vi.fn();
      const rig = createRig({ ...CALLBACKS[name](FAILURES['at once'](mine) as Failing, () => false), onError });
      await rig.start();
      const code = name === 'getToken' ? 'token' : 'config';
      expect(onError.mock.calls).toEqual([[expect.objectContaining({ code, cause: mine })]]);
      expect(rig.wire.sent).toEqual([]);
      rig.client.close();
    }
  });
});

describe.each(TRANSPORTS)('%s', (transport) => {
  it.each(Object.keys(FAILURES) as When[])('fetch that throws %s is retried', async (when) => {
    const fail = FAILURES[when](null) as Failing;
    let ok = false;
    const rig = createRig({ transport });
    const other = createRig({ transport, fetch: (url, init) => (ok ? rig.wire.fetch(url, init) : fail()) });
    await other.start();
    expect(other.client.getSnapshot().error?.code).toBe('network');
    ok = true;
    await other.clock.advance(BACKOFF_MS);
    expect(other.client.state).toBe('live');
    other.client.close();
  });

  it('getToken that never answers is given up, and asked again', async () => {
    const getToken = vi.fn<() => Promise<string>>().mockImplementationOnce(() => new Promise(() => undefined));
    const { clock, client, start } = createRig({ transport, getToken: getToken.mockResolvedValue('secret') });
    await start();
    await clock.advance(30_000);
    expect(client.getSnapshot().error?.code).toBe('token');
    await clock.advance(BACKOFF_MS);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport });
  });

  it('getToken that takes its time takes none of the time for the answer', async () => {
    const { clock, client, start } = createRig({
      transport,
      getToken: () => new Promise((resolve) => void clock.schedule(() => resolve('secret'), 20_000)),
    });
    await start();
    await clock.advance(20_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport });
  });
});

describe('a callback that another one unsubscribes in the same turn', () => {
  type Add = (client: StatusClient, run: () => void) => () => void;
  const ADD: Record<string, Add> = {
    listener: (client, run) => client.subscribe(run),
    watcher: (client, run) => client.watch(run),
  };
  it.each(['listener', 'watcher'])('%s: is not called', async (kind) => {
    const { clock, service, client } = createRig();
    const add = ADD[kind] as Add;
    let stopSecond = (): void => undefined;
    const first = add(client, () => stopSecond());
    const second = vi.fn();
    stopSecond = add(client, second);
    second.mockClear(); // a watcher hears of "connecting" while the next is added
    service.set({ queued: 1 });
    await clock.advance(10);
    expect(second).not.toHaveBeenCalled();
    first();
  });

  it('one that adds another, as frameworks do, does not call it in the same turn', async () => {
    const { clock, client } = createRig();
    let added = 0;
    client.watch(() => {
      added += 1;
      client.watch(() => undefined);
      if (added > 100) throw new Error('endless');
    });
    await clock.advance(10);
    expect(added).toBeLessThan(5);
  });
});
