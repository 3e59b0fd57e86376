/**
 * The client over real sockets, through a proxy with faults.
 *
 * By default against the test server; with `DEMO_URL` against the stack whose page that is (`npm run test:stack`); with
 * `STATUS_URL` (and `STATUS_TOKEN`) against any functions host, where `STATUS_CHANGE_COMMAND`, run by a shell, must
 * change a count.
 */
import { exec } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStorage, type Storage } from '../../demo/src/storage.js';
import { createStatusClient } from '../../src/index.js';
import { systemClock } from '../../src/clock.js';
import type { StatusClient, StorageStatus, Transport } from '../../src/types.js';
import { type FaultProxy, type Faults, startFaultProxy } from '../support/fault-proxy.js';
import { type Listening, serveStatus } from '../support/http-server.js';
import { pageConfig } from '../support/stack.js';
import { StatusService } from '../support/status-service.js';

const { DEMO_URL, STATUS_TOKEN = 'secret', STATUS_CHANGE_COMMAND } = process.env;
const IMAGE = new Blob(['image'], { type: 'image/jpeg' });
/** A change takes longer to arrive through a real storage, its events and the server's poll. */
const PATIENCE_MS = DEMO_URL || process.env.STATUS_URL ? 15_000 : 8_000;
const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];

/** Up to `/cases`. */
let statusUrl = process.env.STATUS_URL;
let storage: Storage | null = null;
let upstream: Listening | null = null;
let service: StatusService | null = null;
let proxy: FaultProxy;
let clients: StatusClient[] = [];

beforeAll(async () => {
  if (statusUrl || !DEMO_URL) return;
  const config = await pageConfig(DEMO_URL);
  statusUrl = config.statusUrl;
  storage = createStorage(config);
});

beforeEach(async () => {
  if (!statusUrl) {
    service = new StatusService(systemClock, { token: STATUS_TOKEN });
    upstream = await serveStatus(service);
  }
  proxy = await startFaultProxy(statusUrl ? new URL(statusUrl).origin : (upstream?.url ?? ''));
});

afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await proxy.close();
  await upstream?.close();
});

async function change(): Promise<void> {
  if (service) service.set({ queued: service.counts.queued + 1 });
  else if (storage) await storage.put('queued', `http-tests/${randomUUID()}.jpg`, IMAGE);
  else if (STATUS_CHANGE_COMMAND) await promisify(exec)(STATUS_CHANGE_COMMAND);
  else throw new Error('Set STATUS_CHANGE_COMMAND to something that changes a count.');
}

function connect(transport: Transport, intervalMs = 300): { client: StatusClient; heard: StorageStatus[] } {
  const heard: StorageStatus[] = [];
  const path = statusUrl ? new URL(statusUrl).pathname : '/api';
  const client = createStatusClient({ baseUrl: proxy.url + path, getToken: () => STATUS_TOKEN, transport });
  client.subscribe((status) => heard.push(status), { intervalMs });
  clients.push(client);
  return { client, heard };
}

const until = (condition: () => boolean): Promise<void> =>
  expect.poll(condition, { timeout: PATIENCE_MS, interval: 20 }).toBe(true);

describe.each(TRANSPORTS)('%s', (transport) => {
  it('says the counts, then the change, on one request at a time', async () => {
    const { client, heard } = connect(transport);
    await until(() => heard.length === 1);
    await change();
    await until(() => heard.length >= 2);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport, error: null });
    expect(heard[1]?.queued).not.toBe(heard[0]?.queued);
    expect(proxy.maxOpen).toBe(1);
    client.close();
    await until(() => proxy.open === 0);
  });

  const troubles: readonly [string, Faults][] = [
    ['500', { status: 500 }],
    ['503 with Retry-After', { status: 503, retryAfter: '1' }],
    ['429', { status: 429 }],
    ['404', { status: 404 }],
    ['no connection', { offline: true }],
  ];
  it.each(troubles)('%s: not live, and live again after it', async (_, faults) => {
    const { client, heard } = connect(transport);
    await until(() => client.state === 'live');
    proxy.faults = faults;
    proxy.cutNow();
    await until(() => client.state === 'stale');
    expect(client.getSnapshot().error).not.toBeNull();
    await change();
    proxy.faults = {};
    await until(() => client.state === 'live' && heard.length >= 2);
    expect(proxy.maxOpen).toBe(1);
  });

  it.each<[string, Faults]>([
    ['a delay', { delayMs: 300 }],
    ['stripped ETags', { stripETag: true }],
    ['200 for 304', { resend200: true }],
    ['lost request headers', { loseHeaders: ['if-none-match', 'prefer', 'last-event-id'] }],
  ])('%s: changes arrive, once each', async (_, faults) => {
    proxy.faults = faults;
    const { client, heard } = connect(transport);
    await until(() => heard.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await change();
    await until(() => heard.length >= 2);
    expect(client.state).toBe('live');
    expect(proxy.count).toBeLessThan(25);
    expect(new Set(heard.map((status) => JSON.stringify(status))).size).toBe(heard.length);
  });

  it('an answer cut mid-body is no status', async () => {
    proxy.faults = { cut: true };
    const { client, heard } = connect(transport);
    await until(() => client.getSnapshot().error !== null);
    expect(heard).toEqual([]);
    proxy.faults = {};
    await until(() => client.state === 'live');
  });

  it('a server that goes back to an earlier version is followed, and forth again', async () => {
    const { client, heard } = connect(transport);
    await until(() => heard.length === 1);
    await change();
    await until(() => heard.length === 2);
    proxy.faults = { goBack: true };
    proxy.cutNow();
    await until(() => heard.length === 3);
    expect(heard[2]).toEqual(heard[0]);
    proxy.faults = {};
    proxy.cutNow();
    await until(() => heard.length >= 4);
    expect(heard[3]).toEqual(heard[1]);
    expect(client.state).toBe('live');
  });

  it('401: stopped until there is another token', async () => {
    proxy.faults = { status: 401 };
    const { client } = connect(transport);
    await until(() => client.getSnapshot().reason === 'unauthorized');
    const sent = proxy.count;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(proxy.count).toBe(sent);
    proxy.faults = {};
    client.refresh();
    await until(() => client.state === 'live');
  });
});

it('sse through an intermediary that buffers: long poll', async () => {
  proxy.faults = { buffer: true };
  const { client, heard } = connect('sse');
  await until(() => client.state === 'live');
  expect(client.getSnapshot().transport).toBe('long-poll');
  await change();
  await until(() => heard.length >= 2);
});
