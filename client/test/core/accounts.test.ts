/** Sign-out, another account and a renewed token: whose numbers are seen. */
import { describe, expect, it, vi } from 'vitest';
import { withStorageStatus } from '../../src/index.js';
import type { StatusSnapshot, Transport } from '../../src/types.js';
import { settle } from '../support/fake-clock.js';
import { createRig, type Rig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];

interface SignedIn extends Rig {
  readonly account: { token: string | null | undefined };
  readonly shown: (StatusSnapshot['status'] | undefined)[];
}

/** A live client of somebody who is signed in, and what is shown from here on. */
async function signIn(transport: Transport, later: boolean): Promise<SignedIn> {
  const account: SignedIn['account'] = { token: 'secret' };
  const getToken = later ? () => Promise.resolve(account.token) : () => account.token;
  const rig = createRig({ transport, getToken });
  rig.service.counts = { queued: 1, input: 2, output: 3 };
  await rig.start();
  await rig.clock.advance(1000);
  expect(rig.client.state).toBe('live');
  const shown: SignedIn['shown'] = [];
  rig.client.watch(() => shown.push(rig.client.getSnapshot().status));
  return { ...rig, account, shown };
}

describe.each(TRANSPORTS)('%s', (transport) => {
  const EMPTY = [null, undefined, ''].flatMap((token) => [false, true].map((later) => [token, later] as const));

  it.each(EMPTY)(
    'signed out (%j, as a promise: %j): the answer shows nothing and clears the numbers',
    async (token, later) => {
      const { clock, service, client, heard, shown, account, wire } = await signIn(transport, later);
      account.token = token;
      service.set({ queued: 99 });
      await clock.advance(3000);
      expect(client.getSnapshot()).toMatchObject({ status: null, state: 'stopped', reason: 'unauthorized' });
      expect(client.version).toBeNull();
      expect(shown.every((status) => status === null)).toBe(true);
      expect(heard.map(({ queued }) => queued)).toEqual([1]);
      expect(wire.sent.at(-1)?.headers).not.toHaveProperty('authorization');
      // Somebody signs in: told what there is, though the version may be the same.
      account.token = 'secret';
      await clock.advance(31_000);
      expect(client.state).toBe('live');
      expect(heard.map(({ queued }) => queued)).toEqual([1, 99]);
    },
  );

  it('signed out with nothing new: the numbers go when the held request is answered, or a heartbeat comes', async () => {
    const { clock, client, account } = await signIn(transport, true);
    account.token = null;
    await clock.advance(26_000);
    expect(client.getSnapshot()).toMatchObject({ status: null, reason: 'unauthorized' });
  });

  it('signed out while numbers are public: they are shown anew', async () => {
    const { clock, service, client, account, shown, heard } = await signIn(transport, false);
    account.token = null;
    service.token = null;
    await clock.advance(26_000);
    expect(client.getSnapshot()).toMatchObject({ status: { queued: 1 }, state: 'live' });
    expect(shown).toContain(null);
    expect(heard).toHaveLength(2);
  });

  it('reset(): what is held is dropped at once, and asked for anew, without a validator', async () => {
    const { clock, service, client, account, wire, heard, shown } = await signIn(transport, false);
    const before = wire.sent.length;
    account.token = 'other';
    service.token = 'other';
    service.counts = { queued: 7, input: 7, output: 7 };
    client.reset();
    expect(client.getSnapshot()).toMatchObject({ status: null, state: 'connecting', error: null });
    expect(client.version).toBeNull();
    await settle();
    await clock.advance(100);
    expect(wire.sent[before]?.headers).toMatchObject({ authorization: 'Bearer other' });
    expect(wire.sent[before]?.headers).not.toHaveProperty('if-none-match');
    expect(wire.sent[before]?.headers).not.toHaveProperty('last-event-id');
    expect(wire.maxInFlight).toBe(1);
    expect(client.state).toBe('live');
    expect(heard.map(({ queued }) => queued)).toEqual([1, 7]); // though the version is the same
    expect(shown.map((status) => status?.queued ?? null)).toEqual([null, 7]);
  });

  it('a late answer to the former account is dropped, also where fetch ignores its signal', async () => {
    const { clock, service, client, wire, heard, account } = await signIn(transport, false);
    let answer = (): void => undefined;
    wire.fault = () => (request) =>
      new Promise((resolve, reject) => {
        answer = () => service.handle({ ...request, signal: new AbortController().signal }).then(resolve, reject);
      });
    client.refresh();
    await clock.advance(100);
    account.token = 'other';
    wire.fault = () => 'hang';
    client.reset();
    service.counts = { queued: 66, input: 0, output: 0 };
    answer();
    await clock.advance(1000);
    expect(client.getSnapshot().status).toBeNull();
    expect(heard.map(({ queued }) => queued)).toEqual([1]);
  });

  it('a renewed token changes nothing that is seen', async () => {
    const { clock, service, client, account, wire, shown, heard } = await signIn(transport, true);
    const snapshot = client.getSnapshot();
    for (let i = 0; i < 20; i += 1) {
      account.token = service.token = `secret${i}`;
      await clock.advance(20_000);
      expect(client.getSnapshot()).toBe(snapshot);
    }
    expect(wire.sent.at(-1)?.headers.authorization).toMatch(/secret1\d/);
    expect([shown.length, heard.length]).toEqual([0, 1]);
  });

  it('a getToken that always says none is an app without accounts', async () => {
    const rig = createRig({ transport, getToken: () => null }, { token: undefined });
    rig.service.token = null;
    await rig.start();
    const snapshot = rig.client.getSnapshot();
    await rig.clock.advance(60_000);
    expect(rig.client.getSnapshot()).toBe(snapshot);
    expect(snapshot.state).toBe('live');
  });
});

it('an answer after everybody has left leaves nothing behind, also where fetch ignores its signal', async () => {
  const rig: Rig = createRig({
    fetch: (url, init) => rig.wire.fetch(url, { ...init, signal: new AbortController().signal }),
  });
  await rig.start();
  await rig.clock.advance(1000);
  expect(rig.service.waiters).toBe(1);
  rig.client.close();
  rig.service.set({ queued: 1 });
  await settle();
  expect(rig.clock.pending).toBe(0);
});

it('a sign-out while nobody listened is one when somebody comes, before anything is sent', async () => {
  const account = { token: 'secret' as string | null };
  const { clock, wire, client, start } = createRig({ getToken: () => account.token });
  (await start())();
  account.token = null;
  await clock.advance(60_000);
  expect(client.getSnapshot().status).not.toBeNull(); // nobody has asked
  wire.fault = () => {
    expect(client.getSnapshot().status).toBeNull();
    return 'hang';
  };
  const before = wire.sent.length;
  await start();
  expect(client.getSnapshot().status).toBeNull();
  expect(wire.sent.length).toBe(before + 1);
  client.close();
});

it('numbers that this token may not see are not shown, whose ever they were', async () => {
  const account = { token: 'secret' };
  const { clock, wire, client, heard, start } = createRig({ getToken: () => account.token });
  const leave = await start();
  leave();
  account.token = 'other'; // somebody else signed in meanwhile
  wire.fault = () => problem(403, 'Not yours', {}, 'case-not-permitted');
  await start();
  expect(client.getSnapshot()).toMatchObject({ status: null, state: 'stopped', reason: 'unauthorized' });
  expect([client.version, client.answerAgeMs]).toEqual([null, null]);
  expect(heard).toHaveLength(1);
  const onChange = vi.fn();
  client.watch(onChange);
  await clock.advance(10 * 60_000); // refused again and again
  expect(onChange.mock.calls.length).toBeLessThanOrEqual(1 + 10 / 4);
  wire.fault = () => undefined;
  account.token = 'secret';
  await clock.advance(31_000);
  expect(client.state).toBe('live');
  expect(heard).toHaveLength(2); // though the version is the same
  client.close();
});

it('numbers stay while a token that may see them has only expired', async () => {
  const { clock, service, client, start } = createRig();
  await start();
  service.token = 'next';
  client.refresh();
  await clock.advance(100);
  expect(client.getSnapshot()).toMatchObject({ status: { queued: 0 }, reason: 'unauthorized' });
  client.close();
});

it('reset() of a client that nobody listens to clears it, and sends nothing', async () => {
  const { clock, wire, client, start } = createRig();
  (await start())();
  await clock.advance(100);
  const before = wire.sent.length;
  client.reset();
  await clock.advance(60_000);
  expect(client.getSnapshot()).toMatchObject({ status: null, state: 'stopped', reason: 'idle' });
  expect(client.answerAgeMs).toBeNull();
  expect(wire.sent.length).toBe(before);
});

it('reset() without end sends no more than the bucket allows', async () => {
  const { clock, wire, client, start } = createRig();
  await start();
  for (let i = 0; i < 600; i += 1) {
    client.reset();
    await clock.advance(100);
  }
  expect(wire.sent.length).toBeLessThanOrEqual(20 + 60 + 1);
  expect(wire.maxInFlight).toBe(1);
});

it('the drop-in: accessToken gone is a sign-out, resetStorageStatus() another account, for each method', async () => {
  const { clock, wire, service } = createRig();
  service.counts = { queued: 1, input: 0, output: 0 };
  const apiService = withStorageStatus(
    { baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' as string | undefined },
    { fetch: wire.fetch, clock, onError: vi.fn() },
  );
  const heard = [vi.fn(), vi.fn()] as const;
  const stops = [apiService.startLongPolling(heard[0]), apiService.subscribeToStorageStatus(heard[1])];
  await clock.advance(1000);
  apiService.resetStorageStatus();
  await clock.advance(1000);
  for (const listener of heard) expect(listener).toHaveBeenCalledTimes(2);
  apiService.accessToken = undefined;
  service.set({ queued: 5 });
  await clock.advance(1000);
  for (const listener of heard) expect(listener).toHaveBeenCalledTimes(2);
  for (const stop of stops) stop();
});
