/** Nonsense is refused by its name, and no token leaves for a host that the app did not mean. */
import { describe, expect, it, vi } from 'vitest';
import { type ApiService, createStatusClient, StorageStatusPoller, withStorageStatus } from '../../src/index.js';
import { seededRandom, settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';

const NUMBERS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 2 ** 31, '3000', {}, true];
const NO_FUNCTIONS = ['text', 1, true, {}, []];
const NO_SOURCES = [...NO_FUNCTIONS, { subscribe: true }, () => undefined];
const NONSENSE: Readonly<Record<string, readonly unknown[]>> = {
  intervalMs: NUMBERS,
  waitSeconds: [...NUMBERS, 0, 0.5],
  transport: ['', 'websocket', 'SSE', 'longpoll', 0, {}, true],
  fetch: NO_FUNCTIONS,
  caseId: ['', '.', '..', 'secret\ud800', 42, true, {}, []],
  getToken: NO_FUNCTIONS,
  onError: NO_FUNCTIONS,
  random: NO_FUNCTIONS,
  activity: NO_SOURCES,
  network: NO_SOURCES,
  clock: [...NO_SOURCES, { now: () => 0 }],
  headers: [
    'x-functions-key: secret',
    new Headers({ 'x-functions-key': 'secret' }),
    new Map([['x-functions-key', 'secret']]),
    [],
    1,
    true,
    { 'x-functions-key': undefined },
    { 'x-functions-key': null },
    { 'x-functions-key': 5 },
    { 'x-functions-key': 'secret\n' },
    { 'x-functions-key': 'sécrét→' },
    { 'x functions key': 'secret' },
    { '': 'secret' },
  ],
};
const cases = Object.entries(NONSENSE).flatMap(([name, values]) => values.map((value) => [name, value] as const));

const NO_ADDRESSES = [
  undefined,
  null,
  '',
  ' ',
  'undefined',
  'undefined/api',
  'https://undefined/api',
  'https://null',
  'https://',
  'https:///api',
  'https:/host/api',
  'https:host/api',
  'host.test/api',
  '//host.test/api',
  '/\\host.test/api',
  'ftp://host.test',
  'javascript:alert(1)',
  'https://user:password@host.test/api',
  'https://host.test@evil.test/api',
  'https://host.test:port/api',
  'https://host.test/api?code=secret',
  'https://host.test/api#top',
  'https://host.test/a pi',
  ' https://host.test/api',
  'https://host.test/api\n',
  42,
  {},
  [],
  new URL('https://host.test/api'),
];
const ADDRESSES = [
  'https://host.test/api',
  'https://host.test/api///',
  'HTTPS://HOST.test',
  'http://127.0.0.1:7071/api',
  'http://localhost:7071',
  'http://[::1]:7071/api',
  'https://undefined.test/null',
  'https://bücher.test/äpi',
  '/api',
  '/',
];

describe('a client', () => {
  const baseUrl = 'https://status.test/api';

  it.each(cases)('refuses %s %j by its name, and does not quote it', (name, value) => {
    const make = () => createStatusClient({ baseUrl, [name]: value } as never);
    expect(make).toThrow(TypeError);
    expect(make).toThrow(name);
    expect(make).not.toThrow(/secret|text/);
    const apiService = { baseUrl: 'status.test', basePath: '/api' };
    if (name !== 'getToken' && name !== 'transport') {
      expect(() => withStorageStatus(apiService, { [name]: value } as never)).toThrow(name);
      expect(apiService).not.toHaveProperty('startLongPolling');
    }
  });

  it.each(NO_ADDRESSES)('refuses baseUrl %j', (address) => {
    expect(() => createStatusClient({ baseUrl: address as never })).toThrow(/baseUrl/);
  });

  it.each(ADDRESSES)('takes baseUrl %s', (address) => {
    expect(createStatusClient({ baseUrl: address }).state).toBe('stopped');
  });

  it('takes null for what is absent', () => {
    const nulls = Object.fromEntries(Object.keys(NONSENSE).map((name) => [name, null]));
    expect(createStatusClient({ baseUrl, ...nulls } as never).state).toBe('stopped');
  });

  it.each(NUMBERS)('refuses a listener’s interval of %j', (intervalMs) => {
    const { client } = createRig();
    const options = { intervalMs: intervalMs as never };
    expect(() => client.subscribe(() => undefined, options)).toThrow(/intervalMs/);
    const apiService = withStorageStatus({ baseUrl: 'status.test', basePath: '/api' });
    expect(() => apiService.startLongPolling(() => undefined, intervalMs as never)).toThrow(/intervalMs/);
    const poller = new StorageStatusPoller(apiService);
    expect(() => poller.start(() => undefined, intervalMs as never)).toThrow(/intervalMs/);
    expect(client.state).toBe('stopped');
  });

  it.each(NO_ADDRESSES)('a function that says %j fails that request, and sends nothing', async (address) => {
    let current: unknown = address;
    const { clock, wire, client, start } = createRig({ baseUrl: () => current as string });
    await start();
    expect(client.getSnapshot()).toMatchObject({ state: 'connecting', error: { code: 'config' } });
    expect(client.getSnapshot().error?.message).toContain('baseUrl');
    expect(wire.sent).toEqual([]);
    current = 'https://status.test/api/';
    await clock.advance(1000);
    expect(client.state).toBe('live');
  });
});

describe('the drop-in', () => {
  /** What is sent for an app's own object: its address, or nothing. */
  async function sent(apiService: unknown): Promise<URL | null> {
    const { wire, clock } = createRig();
    const { startLongPolling } = withStorageStatus(apiService as ApiService, {
      fetch: wire.fetch,
      clock,
      onError() {},
    });
    const stop = startLongPolling(() => undefined);
    await settle();
    stop();
    return wire.sent[0] ? new URL(wire.sent[0].url) : null;
  }

  it.each([
    ['h.test', '/api', 'https://h.test/api'],
    ['h.test', 'api', 'https://h.test/api'],
    ['h.test', 'api/', 'https://h.test/api'],
    ['h.test', '//api', 'https://h.test/api'],
    ['h.test/', '/api', 'https://h.test/api'],
    ['h.test//', '//api//', 'https://h.test/api'],
    ['h.test', '', 'https://h.test'],
    ['h.test', '/', 'https://h.test'],
    ['h.test', undefined, 'https://h.test'],
    ['h.test', null, 'https://h.test'],
    ['h.test', '.comapi', 'https://h.test/.comapi'],
    ['h.test', '@evil.test', 'https://h.test/@evil.test'],
    ['h.test', ':8080/api', 'https://h.test/:8080/api'],
    ['h.test/v1', 'api', 'https://h.test/v1/api'],
    ['h.test:8443', 'api', 'https://h.test:8443/api'],
    ['http://127.0.0.1:7071', 'api', 'http://127.0.0.1:7071/api'],
    ['HTTP://h.test/', 'api', 'http://h.test/api'],
  ])('%s and %s are joined by one slash', async (baseUrl, basePath, expected) => {
    expect((await sent({ baseUrl, basePath }))?.href).toBe(`${expected}/cases/storage/status`);
  });

  it.each([
    undefined,
    null,
    '',
    '/',
    '//',
    '/h.test',
    '//h.test',
    'ftp://h.test',
    'https:/h.test',
    'a@h.test',
    ' ',
    5.5,
  ])('baseUrl %j: nothing is sent until there is one', async (baseUrl) => {
    expect(await sent({ baseUrl, basePath: '/api' })).toBe(null);
  });

  it('no pair of host and path sends anything to another host', async () => {
    const random = seededRandom(5);
    const parts = [
      '/',
      '\\',
      '.',
      '@',
      ':',
      '?',
      '#',
      ' ',
      '\t',
      'api',
      'evil.test',
      '%2f',
      '443',
      'https://',
      '[',
      ']',
    ];
    const word = (length: number): string =>
      Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join('');
    for (let i = 0; i < 300; i += 1) {
      const pair = { baseUrl: 'h.test' + (i % 2 ? '' : `/${word(2)}`), basePath: word(1 + (i % 4)), accessToken: 't' };
      const url = await sent(pair);
      if (url)
        expect([url.host, url.pathname.endsWith('/cases/storage/status')], JSON.stringify(pair)).toEqual([
          'h.test',
          true,
        ]);
    }
  });

  it('an address that is not known yet is asked for again, as a failure of its own', async () => {
    const { wire, clock } = createRig();
    const onError = vi.fn();
    const apiService = { baseUrl: undefined as unknown as string, basePath: '/api', accessToken: 'secret' };
    const heard = vi.fn();
    const { startLongPolling } = withStorageStatus(apiService, { fetch: wire.fetch, clock, onError });
    const stop = startLongPolling(heard);
    await clock.advance(0);
    expect(wire.sent).toEqual([]);
    expect(onError).toHaveBeenCalledWith(expect.objectContaining({ code: 'config' }));
    apiService.baseUrl = 'status.test';
    await clock.advance(1000);
    expect(heard).toHaveBeenCalledTimes(1);
    stop();
  });
});

describe('headers', () => {
  it('go with every request of every transport, asked for each time', async () => {
    for (const transport of ['long-poll', 'sse', 'poll'] as const) {
      let n = 0;
      const headers = async () => ({ 'x-functions-key': `key${(n += 1)}` });
      const { clock, wire, start } = createRig({ transport, headers });
      await start();
      await clock.advance(200_000);
      expect(wire.sent.length).toBeGreaterThan(1);
      expect(wire.sent.map((sent) => sent.headers['x-functions-key'])).toEqual(wire.sent.map((_, i) => `key${i + 1}`));
    }
  });

  it('replace nothing that is sent anyway, in whatever case; Authorization is theirs when there is no token', async () => {
    const headers = { authorization: 'Basic x', ACCEPT: 'text/html', 'if-none-match': '"no"', prefer: 'wait=9' };
    const withToken = createRig({ headers });
    await withToken.start();
    await withToken.clock.advance(1000);
    expect(withToken.wire.sent[1]?.headers).toEqual({
      authorization: 'Bearer secret',
      accept: 'application/json',
      'if-none-match': '"g1.1"',
      prefer: 'wait=25',
    });
    const without = createRig({ headers: { authorization: 'Basic x' }, getToken: () => null });
    await without.start();
    expect(without.wire.sent[0]?.headers.authorization).toBe('Basic x');
  });

  it.each<[string, () => unknown]>([
    ['throw', () => { throw new Error('mine'); }], // prettier-ignore
    ['reject', () => Promise.reject(new Error('mine'))],
    ['hold no text', () => ({ 'x-functions-key': undefined })],
    ['cannot be sent', () => ({ 'x-functions-key': 'secret\r\n' })],
  ])('that %s fail that request, send nothing, and show no key', async (_, bad) => {
    let headers: () => unknown = bad;
    const { clock, wire, client, start } = createRig({ headers: () => headers() as never });
    await start();
    expect(wire.sent).toEqual([]);
    expect(client.getSnapshot().error).toMatchObject({ code: 'config' });
    expect(client.getSnapshot().error?.message).not.toContain('secret');
    headers = () => ({ 'x-functions-key': 'good' });
    await clock.advance(1000);
    expect(client.state).toBe('live');
  });

  it('another key is tried where the last one was refused', async () => {
    let key = 'old';
    const { clock, wire, client, start } = createRig({ headers: () => ({ 'x-functions-key': key }) });
    wire.fault = (sent) =>
      sent.headers['x-functions-key'] === 'new' ? undefined : { status: 401, headers: {}, body: '' };
    await start();
    await clock.advance(40_000);
    expect(client.getSnapshot().reason).toBe('unauthorized');
    expect(wire.sent).toHaveLength(1); // the same one is not tried again at once
    key = 'new';
    await clock.advance(31_000);
    expect(client.state).toBe('live');
  });
});
