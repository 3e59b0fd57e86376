/** The counts of one case: where they are asked for, and that nothing of one case is shown or sent for another. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createStatusClient, StorageStatusPoller, withStorageStatus } from '../../src/index.js';
import { clientOf } from '../../src/react/index.js';
import type { StatusClient, Transport } from '../../src/types.js';
import { seededRandom, settle } from '../support/fake-clock.js';
import type { Sent } from '../support/memory-fetch.js';
import { createRig, type Rig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];
const BASE = 'https://status.test/api';

const ODD_IDS = [
  '42',
  'storage',
  'status',
  'null',
  'a b',
  ' ',
  '+',
  '%',
  '%2F',
  '%2e%2e',
  '%252F',
  '/',
  '//evil.test',
  '../../admin',
  '\\',
  '?',
  '?caseId=1',
  '#',
  '#/stream',
  '...',
  '.hidden',
  'x/..',
  ';v=1',
  '@evil.test',
  'https://evil.test/',
  '\'"<>&',
  '\n',
  '\0',
  'perkara-ke-7 für Ωmega',
  '案件',
  '🧾',
  '\u00e9',
  'e\u0301',
  '__proto__',
  'x'.repeat(5000),
];

/** Ids made of what a path could trip over, the same every time. */
function randomIds(count: number): string[] {
  const random = seededRandom(11);
  const parts = [
    '/',
    '\\',
    '.',
    '..',
    '%',
    '%2F',
    '%2e',
    '?',
    '#',
    '&',
    ' ',
    '+',
    ';',
    ':',
    '@',
    'a',
    'ü',
    '案',
    '🧾',
    '\u0301',
  ];
  const word = (length: number): string =>
    Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join('');
  return Array.from({ length: count }, (_, i) => word(1 + (i % 6))).filter((id) => !/^\.{1,2}$/.test(id));
}

const NO_IDS = ['', '.', '..', '\ud83e', '\uddfe', 'a\ud800b', 42, 0, true, {}, [], () => 'a'];

/** The id that a server reads in a request's path; it fails for a path of any other shape. */
function idOf({ url }: Sent): string {
  const [, id = ''] =
    /^https:\/\/status\.test\/api\/cases\/([^/?#]+)\/storage\/status(\/stream)?(\?[^#]*)?$/.exec(url) ?? [];
  expect(new URL(url).href, 'is what fetch makes of it').toBe(url);
  return decodeURIComponent(id);
}

/** What a request says that its client has. */
const saysItHas = ({ headers, url }: Sent): string | null =>
  headers['if-none-match'] ?? headers['last-event-id'] ?? new URL(url).searchParams.get('since');

describe.each(TRANSPORTS)('%s', (transport) => {
  it('sends the id as one segment of the path, whatever is in it', async () => {
    for (const caseId of [...ODD_IDS, ...randomIds(100)]) {
      const { clock, wire, client, service, start } = createRig({ transport, caseId });
      service.caseOf(caseId).counts = { queued: 7, input: 0, output: 0 };
      const stop = await start();
      await clock.advance(transport === 'poll' ? 4000 : 200);
      expect(wire.sent.map(idOf)).toEqual(wire.sent.map(() => caseId));
      expect(wire.sent[0]?.url.endsWith(transport === 'sse' ? '/stream' : '/status')).toBe(true);
      expect(wire.sent.length).toBeGreaterThanOrEqual(transport === 'sse' ? 1 : 2);
      expect(client.getSnapshot()).toMatchObject({ state: 'live', status: { queued: 7 } });
      stop();
    }
  });

  it('an id reaches the server in the query’s company, too', async () => {
    vi.stubGlobal('document', {});
    vi.stubGlobal('navigator', {});
    const { clock, wire, start } = createRig({ transport, caseId: 'a?b' });
    await start();
    await clock.advance(200_000);
    expect(wire.sent.length).toBeGreaterThan(1);
    for (const sent of wire.sent) expect(idOf(sent)).toBe('a?b');
    expect(wire.sent.some(({ url }) => url.includes('/status?since=c1.1'))).toBe(transport !== 'sse');
  });

  it('without an id, or with null, every address is as before', async () => {
    const address = `${BASE}/cases/storage/status${transport === 'sse' ? '/stream' : ''}`;
    for (const options of [{}, { caseId: undefined }, { caseId: null }]) {
      const { clock, wire, client, start } = createRig({ transport, ...options });
      client.forCase('a'); // is asked nothing, and changes nothing
      const stop = await start();
      await clock.advance(4000);
      expect(new Set(wire.sent.map(({ url }) => url))).toEqual(new Set([address]));
      stop();
    }
  });

  it('a case that nobody has heard of: zeros that have not changed yet, and then its first upload', async () => {
    const { clock, service, client, heard, start } = createRig({ transport, caseId: 'new' });
    await start();
    expect(client.getSnapshot()).toMatchObject({ state: 'live', error: null });
    expect(heard).toEqual([{ queued: 0, processing: 0, completed: 0, timestamp: '' }]);
    service.caseOf('new').set({ queued: 1 });
    await clock.advance(3000);
    expect(heard.slice(1)).toMatchObject([{ queued: 1, timestamp: expect.stringMatching(/^\d{4}-.*Z$/) as string }]);
  });

  it('no version of one case is sent for another, or for all', async () => {
    const { clock, wire, service, client } = createRig({ transport });
    const versionOf = new Map([
      ['', 'g1'],
      ...['a', 'b'].map((id) => [id, service.caseOf(id).version.slice(0, 2)] as const),
    ]);
    const clients: [string, StatusClient][] = [
      ['', client],
      ...['a', 'b'].map((id) => [id, client.forCase(id)] as [string, StatusClient]),
    ];
    for (let round = 0; round < 6; round += 1) {
      for (const [id, one] of clients) {
        const stop = one.subscribe(() => undefined);
        (id ? service.caseOf(id) : service).set({ queued: round });
        await clock.advance(4000);
        expect(one.getSnapshot().status?.queued).toBe(round);
        stop();
        await settle();
      }
    }
    const said = wire.sent.flatMap((sent) => {
      const has = saysItHas(sent)?.replaceAll('"', '').slice(0, 2);
      return has ? [[/cases\/storage/.test(sent.url) ? '' : idOf(sent), has] as const] : [];
    });
    expect(said.length).toBeGreaterThan(12);
    for (const [id, has] of said) expect([id, has]).toEqual([id, versionOf.get(id)]);
  });

  it('an answer that arrives after the change to another case is dropped', async () => {
    const { clock, service, wire, client } = createRig({ transport });
    const [a, b] = [client.forCase('a'), client.forCase('b')];
    let answer = (): void => undefined;
    wire.fault = (sent) =>
      idOf(sent) === 'a'
        ? (request) =>
            new Promise((resolve, reject) => {
              answer = () => service.handle({ ...request, signal: new AbortController().signal }).then(resolve, reject);
            })
        : undefined;
    service.caseOf('a').counts = { queued: 66, input: 0, output: 0 };
    const heard = vi.fn();
    const leave = a.subscribe(heard);
    await clock.advance(10);
    leave();
    const stop = b.subscribe(heard);
    expect(b.getSnapshot()).toMatchObject({ state: 'connecting', status: null, error: null });
    answer();
    await clock.advance(4000);
    expect(heard.mock.calls.map(([status]) => status.queued)).toEqual([0]);
    expect(a.getSnapshot().status).toBeNull();
    expect(b.getSnapshot().status?.queued).toBe(0);
    stop();
  });

  it('403 case-not-permitted is a refusal like others; another token ends it', async () => {
    let token = 'secret';
    const { clock, wire, client, start } = createRig({ transport, caseId: 'a', getToken: () => token });
    wire.fault = () => (token === 'secret' ? problem(403, 'Not yours', {}, 'case-not-permitted') : undefined);
    await start();
    await clock.advance(20_000);
    const error = { code: 'unauthorized', httpStatus: 403, problem: 'case-not-permitted' };
    expect(client.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'unauthorized', error });
    expect(wire.sent).toHaveLength(1);
    wire.fault = () => undefined;
    token = 'other';
    await clock.advance(31_000);
    expect(wire.sent.length).toBeGreaterThan(1);
  });

  it('404 case-unknown is "not yet": said, and asked again by the usual back-off, on the same transport', async () => {
    const { clock, wire, client, start } = createRig({ transport, caseId: 'a', random: () => 0.5 });
    wire.fault = () => problem(404, 'No such case', {}, 'case-unknown');
    await start();
    const error = { code: 'http', httpStatus: 404, problem: 'case-unknown' };
    expect(client.getSnapshot()).toMatchObject({ state: 'connecting', status: null, reason: null, error });
    await clock.advance(120_000);
    const gaps = wire.times.slice(1).map((at, i) => at - (wire.times[i] ?? 0));
    expect(gaps.slice(0, 4).every((gap, i) => gap > 500 * 2 ** i && gap <= 1000 * 2 ** i)).toBe(true);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(30_001);
    expect(client.getSnapshot()).toMatchObject({ state: 'connecting', error, transport });
    wire.fault = () => problem(404, 'No such case', { 'retry-after': '100' }, 'case-unknown');
    await clock.advance(30_000);
    const before = wire.sent.length;
    wire.fault = () => undefined;
    await clock.advance(100_000);
    expect(wire.sent).toHaveLength(before);
    await clock.advance(60_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', error: null, transport });
  });
});

it('a held request that ends with 404 case-unknown was not cut by a gateway', async () => {
  const { clock, wire, client, start } = createRig({ caseId: 'a' });
  wire.fault = ({ headers }) =>
    headers.prefer
      ? () =>
          new Promise((resolve) => {
            clock.schedule(() => resolve(problem(404, 'No such case', {}, 'case-unknown')), 5000);
          })
      : undefined;
  await start();
  await clock.advance(5200);
  expect(client.getSnapshot()).toMatchObject({ state: 'stale', error: { problem: 'case-unknown' } });
});

describe('an id that no path can carry', () => {
  const WAY_OUT = /caseId.*give a string other than "", "\." and "\.\.", or leave it out/;

  it.each(NO_IDS)('%j is refused, with what to do, before anything is sent', (id) => {
    const caseId = id as string;
    const { wire, client } = createRig();
    const apiService = withStorageStatus({ baseUrl: 'status.test', basePath: '/api' }, { fetch: wire.fetch });
    const ways = [
      () => createStatusClient({ baseUrl: BASE, caseId }),
      () => client.forCase(caseId),
      () => clientOf(client, caseId),
      () => clientOf(apiService, caseId),
      () => apiService.startLongPolling(() => undefined, undefined, { caseId }),
      () => apiService.subscribeToStorageStatus(() => undefined, { caseId }),
      () => new StorageStatusPoller(apiService, { caseId }).start(() => undefined),
    ];
    for (const way of ways) {
      expect(way).toThrow(TypeError);
      expect(way).toThrow(WAY_OUT);
    }
    expect(wire.sent).toEqual([]);
  });

  it.each([null, undefined])('forCase(%j) is refused and not all images', (none) => {
    expect(() => createRig().client.forCase(none as never)).toThrow(WAY_OUT);
  });
});

describe('a baseUrl that names a status itself', () => {
  const ADDRESSES = [
    `${BASE}/cases/storage/status`,
    `${BASE}/cases/storage/status/`,
    `${BASE}/cases/storage/status/stream`,
    `${BASE}/cases/42/storage/status`,
    `${BASE}/Cases/a%2Fb/storage/status/stream`,
    '/api/cases/storage/status',
  ];

  it.each(ADDRESSES)('%s has no place for a case', async (baseUrl) => {
    expect(() => createStatusClient({ baseUrl, caseId: 'a' })).toThrow(/baseUrl.*with caseId it ends before \/cases/);
    expect(() => createStatusClient({ baseUrl }).forCase('a')).toThrow(/baseUrl/);
    const { wire, client, start } = createRig({ baseUrl: () => baseUrl, caseId: 'a' });
    await start();
    expect(wire.sent).toEqual([]);
    const { error } = client.getSnapshot();
    expect(error).toMatchObject({ code: 'config' });
    expect(String((error?.cause as Error).message)).toContain('ends before /cases');
  });

  it.each(ADDRESSES.slice(0, 5))('%s goes on as before without one', async (baseUrl) => {
    const { wire, start } = createRig({ baseUrl });
    await start();
    expect(wire.sent.map(({ url }) => url)).toEqual([`${baseUrl.replace(/\/$/, '')}/cases/storage/status`]);
  });

  it.each([`${BASE}/cases`, 'https://status.test/storage/status', `${BASE}/cases/a/b/storage/status`])(
    '%s may be where an API lives',
    (baseUrl) => {
      expect(createStatusClient({ baseUrl, caseId: 'a' }).state).toBe('stopped');
    },
  );
});

describe('clients of cases', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = createRig();
  });

  it('are the same one for the same id, and a client of that case is its own', () => {
    const a = rig.client.forCase('a');
    expect(rig.client.forCase('a')).toBe(a);
    expect(rig.client.forCase('A')).not.toBe(a);
    expect(a.forCase('a')).toBe(a);
    expect(a.forCase('b')).toBe(rig.client.forCase('b'));
    const alone = createStatusClient({ baseUrl: BASE, caseId: 'a' });
    expect(alone.forCase('b').forCase('a')).toBe(alone);
    expect(clientOf(rig.client, 'a')).toBe(a);
    expect(clientOf(rig.client)).toBe(rig.client);
    expect(clientOf(rig.client, null)).toBe(rig.client);
  });

  it('share a connection with everyone who follows the case, and none with another', async () => {
    const { clock, wire, service, client } = rig;
    const heard = { a: vi.fn(), again: vi.fn(), b: vi.fn(), all: vi.fn() };
    client.forCase('a').subscribe(heard.a);
    client.forCase('a').subscribe(heard.again);
    client.forCase('b').subscribe(heard.b);
    client.subscribe(heard.all);
    await clock.advance(1000);
    expect(wire.inFlight).toBe(3);
    service.caseOf('a').set({ queued: 5 });
    await clock.advance(10);
    const last = Object.entries(heard).map(([name, { mock }]) => [name, mock.calls.map(([{ queued }]) => queued)]);
    expect(Object.fromEntries(last)).toEqual({ a: [0, 5], again: [0, 5], b: [0], all: [0] });
    client.close();
    await settle();
    expect([wire.inFlight, service.waiters, clock.pending]).toEqual([0, 0, 0]);
  });

  it('reset() of a client clears those of its cases, also one that nobody looks at; not the other way', async () => {
    const { clock, wire, client, service } = rig;
    const [a, b] = [client.forCase('a'), client.forCase('b')];
    for (const each of [client, a]) each.subscribe(() => undefined);
    const leave = b.subscribe(() => undefined);
    await clock.advance(1000);
    leave();
    const all = client.getSnapshot().status;
    a.reset();
    expect([client, a, b].map((each) => each.getSnapshot().status === null)).toEqual([false, true, false]);
    expect(client.getSnapshot().status).toBe(all);
    await clock.advance(1000);
    const before = wire.sent.length;
    client.reset();
    expect([client, a, b].map((each) => [each.getSnapshot().status, each.version])).toEqual(
      Array(3).fill([null, null]),
    );
    await clock.advance(50);
    expect(wire.sent.slice(before).map(saysItHas)).toEqual([null, null]);
    client.close();
    await settle();
    expect(service.waiters).toBe(0);
  });

  it('a sign-out clears all of them, without a storm', async () => {
    const account = { token: 'secret' as string | null };
    const { clock, wire, client, service } = createRig({ getToken: () => account.token });
    const clients = [client, ...['a', 'b', 'c', 'd'].map((id) => client.forCase(id))];
    for (const each of clients) each.subscribe(() => undefined);
    await clock.advance(1000);
    const before = wire.sent.length;
    account.token = null;
    service.token = 'none';
    await clock.advance(27_000);
    for (const each of clients) expect(each.getSnapshot()).toMatchObject({ status: null, reason: 'unauthorized' });
    expect(wire.sent.length - before).toBeLessThanOrEqual(2 * clients.length);
    client.close();
    await settle();
  });

  const roles = ['all images', 'a', 'b', 'let go'] as const;
  const signOuts = roles.flatMap((asks) => [true, false].map((known) => [asks, known] as const));
  it.each(signOuts)(
    'a sign-out that only %s is there to notice clears all of them (had it a token: %j)',
    async (asks, known) => {
      const account = { token: 'secret' as string | null };
      const { clock, client, service, wire } = createRig({ getToken: () => account.token });
      const clients = {
        'all images': client,
        a: client.forCase('a'),
        b: client.forCase('b'),
        'let go': client.forCase('c'),
      };
      for (let i = 0; i < 1000; i += 1) client.forCase(`case ${i}`);
      expect(client.forCase('c')).not.toBe(clients['let go']);
      const had = Object.entries(clients).filter(([role]) => known || role !== asks);
      const stops = had.map(([, each]) => each.subscribe(() => undefined));
      await clock.advance(1000);
      for (const stop of stops) stop();
      account.token = null;
      service.token = 'none';
      const before = wire.sent.length;
      const leave = clients[asks].watch(() => undefined);
      await clock.advance(100);
      const left = Object.entries(clients).filter(([, each]) => each.getSnapshot().status ?? each.version);
      expect(left).toEqual([]);
      expect(wire.sent.length).toBe(before + 1);
      leave();
      await settle();
      expect(clock.pending).toBe(0);
    },
  );

  it('refresh() and close() of a client go for those of its cases', async () => {
    const { clock, wire, client } = rig;
    const a = client.forCase('a');
    a.subscribe(() => undefined);
    await clock.advance(1000);
    const before = wire.sent.length;
    client.refresh();
    await clock.advance(50);
    expect(wire.sent.slice(before).map(idOf)).toEqual(['a']);
    client.close();
    expect(a.getSnapshot()).toMatchObject({ state: 'stopped', reason: 'closed' });
    await settle();
    expect(wire.inFlight).toBe(0);
  });

  it('of thousands only some are kept, none that somebody looks at, and none that is let go keeps its numbers', async () => {
    const { clock, client, service } = rig;
    const [watched, left] = [client.forCase('watched'), client.forCase('left')];
    const stop = watched.subscribe(() => undefined);
    const leave = left.subscribe(() => undefined);
    await clock.advance(1000);
    leave();
    expect(left.getSnapshot().status).not.toBeNull();
    const last = Array.from({ length: 3000 }, (_, i) => client.forCase(`case ${i}`)).at(-1);
    expect(client.forCase('watched')).toBe(watched);
    expect(client.forCase('case 2999')).toBe(last);
    expect(left.getSnapshot().status).toBeNull();
    expect(client.forCase('left')).not.toBe(left);
    stop();
    await settle();
    expect(service.waiters).toBe(0);
  });
});

describe('the drop-in', () => {
  const make = (rig: Rig) =>
    withStorageStatus(
      { baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' },
      { fetch: rig.wire.fetch, clock: rig.clock, onError: vi.fn() },
    );

  it('each call takes a case, and each case of a method has one connection', async () => {
    const rig = createRig();
    for (const [id, queued] of [['a', 1], ['b', 2]] as const) rig.service.caseOf(id).counts = { queued, input: 0, output: 0 }; // prettier-ignore
    const apiService = make(rig);
    const heard = { all: vi.fn(), a: vi.fn(), again: vi.fn(), b: vi.fn(), polled: vi.fn() };
    const poller = new StorageStatusPoller(apiService, { caseId: 'b' });
    const stops = [
      apiService.startLongPolling(heard.all),
      apiService.startLongPolling(heard.a, 1000, { caseId: 'a' }),
      await apiService.startLongPolling(heard.again, undefined, { caseId: 'a' }),
      apiService.subscribeToStorageStatus(heard.b, { caseId: 'b' }),
      () => poller.stop(),
    ];
    poller.start(heard.polled);
    await rig.clock.advance(1000);
    const first = Object.values(heard).map(({ mock }) => mock.calls.map(([{ queued }]) => queued));
    expect(first).toEqual([[0], [1], [1], [2], [2]]);
    expect(rig.wire.inFlight).toBe(3);
    expect(rig.wire.sent.filter(({ url }) => url.includes('/cases/a/'))).toHaveLength(2);
    expect(poller.lastETag).toBe('"c2.1"');
    for (const stop of stops) stop();
    await settle();
    expect(rig.wire.inFlight).toBe(0);
  });

  it('startLongPolling with another case: what the former one answers is not heard any more', async () => {
    const rig = createRig();
    const apiService = make(rig);
    const heard = vi.fn();
    const stop = apiService.startLongPolling(heard, 3000, { caseId: 'a' });
    await rig.clock.advance(1000);
    stop();
    const stopOther = apiService.startLongPolling(heard, 3000, { caseId: 'b' });
    rig.service.caseOf('a').set({ queued: 66 });
    await rig.clock.advance(1000);
    expect(heard.mock.calls.map(([{ queued }]) => queued)).toEqual([0, 0]);
    stopOther();
  });

  it.each([undefined, null, {}, { caseId: undefined }, { caseId: null }, 7])(
    'the calls of before stay as they were, with %j as well',
    async (more) => {
      const rig = createRig();
      const apiService = make(rig);
      const stops = [
        apiService.startLongPolling(() => undefined, undefined, more as never),
        apiService.subscribeToStorageStatus(() => undefined, more as never),
      ];
      await rig.clock.advance(10);
      const status = `${BASE}/cases/storage/status`;
      expect(rig.wire.sent.map(({ url }) => url)).toEqual([status, `${status}/stream`]);
      for (const stop of stops) stop();
    },
  );

  it('a poller says of a case that has not changed yet what it says of the others, with an empty timestamp', async () => {
    const rig = createRig();
    const poller = new StorageStatusPoller(make(rig), { caseId: 'new' });
    const heard = vi.fn();
    poller.start(heard);
    await rig.clock.advance(10);
    const data = { queued_count: 0, input_count: 0, output_count: 0, timestamp: '', version: 'c1.1' };
    expect(heard).toHaveBeenCalledWith({ queued: 0, processing: 0, completed: 0, timestamp: '', success: true, data });
    poller.stop();
  });

  it('resetStorageStatus() clears the cases, too', async () => {
    const rig = createRig();
    const apiService = make(rig);
    const heard = vi.fn();
    const stop = apiService.startLongPolling(heard, 3000, { caseId: 'a' });
    await rig.clock.advance(1000);
    apiService.resetStorageStatus();
    expect(clientOf(apiService, 'a').getSnapshot().status).toBeNull();
    await rig.clock.advance(1000);
    expect(heard).toHaveBeenCalledTimes(2);
    stop();
  });
});
