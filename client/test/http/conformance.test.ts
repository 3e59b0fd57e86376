/**
 * The client over real sockets, through a proxy with faults.
 *
 * By default against the test server; with `STATUS_URL` (and `STATUS_TOKEN`) against a running functions host, where
 * `STATUS_CHANGE_COMMAND`, run by a shell, must change a count.
 */
import { exec } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createStatusClient } from '../../src/index.js';
import { systemClock } from '../../src/clock.js';
import type { StatusClient, StorageStatus, Transport } from '../../src/types.js';
import { type FaultProxy, type Faults, startFaultProxy } from '../support/fault-proxy.js';
import { type Listening, serveStatus } from '../support/http-server.js';
import { StatusService } from '../support/status-service.js';

const { STATUS_URL, STATUS_TOKEN = 'secret', STATUS_CHANGE_COMMAND } = process.env;
/** A change takes longer to arrive through a real storage, its events and the server's poll. */
const PATIENCE_MS = STATUS_URL ? 15_000 : 8_000;
const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];

let upstream: Listening | null = null;
let service: StatusService | null = null;
let proxy: FaultProxy;
let clients: StatusClient[] = [];

beforeEach(async () => {
  if (!STATUS_URL) {
    service = new StatusService(systemClock, { token: STATUS_TOKEN });
    upstream = await serveStatus(service);
  }
  proxy = await startFaultProxy(STATUS_URL ? new URL(STATUS_URL).origin : (upstream?.url ?? ''));
});

afterEach(async () => {
  for (const client of clients) client.close();
  clients = [];
  await proxy.close();
  await upstream?.close();
});

async function change(): Promise<void> {
  if (service) service.set({ queued: service.counts.queued + 1 });
  else if (STATUS_CHANGE_COMMAND) await promisify(exec)(STATUS_CHANGE_COMMAND);
  else throw new Error('Set STATUS_CHANGE_COMMAND to something that changes a count.');
}

function connect(transport: Transport, intervalMs = 300): { client: StatusClient; heard: StorageStatus[] } {
  const heard: StorageStatus[] = [];
  const path = STATUS_URL ? new URL(STATUS_URL).pathname : '/api';
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

it.runIf(process.env.SOAK)(
  'idle for 2 real minutes on long poll: at most 3 requests a minute',
  async () => {
    const { client } = connect('long-poll', 3000);
    await until(() => client.state === 'live');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const before = proxy.count;
    await new Promise((resolve) => setTimeout(resolve, 120_000));
    expect(proxy.count - before).toBeLessThanOrEqual(6);
    expect(client.state).toBe('live');
  },
  130_000,
);
