/** The existing app's calls, as they are, with one import and one line added. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { StorageStatusPoller, withStorageStatus } from '../../src/index.js';
import { systemClock } from '../../src/clock.js';
import { settle } from '../support/fake-clock.js';
import { MemoryFetch } from '../support/memory-fetch.js';
import { StatusService } from '../support/status-service.js';

const seed = (name: string): string => readFileSync(new URL(`../seed/${name}`, import.meta.url), 'utf8');
const lines = (code: string): string[] => code.split('\n').map((line) => line.trim());

type Callback = (status: Record<string, unknown>) => void;
interface Poller {
  start(onUpdate: Callback, intervalMs?: number): void;
  stop(): void;
  lastETag: string | null;
}
interface App {
  baseUrl: string;
  basePath: string;
  accessToken: string;
  startLongPolling(onStatusUpdate: Callback, intervalMs?: number): () => void;
  subscribeToStorageStatus(onStatusUpdate: Callback): () => void;
}

/** The app's service, made anew for each test: the file's code with its import and export taken over. */
function loadApp(withAddedLine = true): App {
  let code = seed('services/ApiService.js')
    .replace(/^import .*$/m, '')
    .replace('export default apiService;', '');
  if (!withAddedLine) code = code.replace('withStorageStatus(apiService);', '');
  return new Function('withStorageStatus', `${code}; return apiService;`)(withStorageStatus) as App;
}

let service: StatusService;
let wire: MemoryFetch;
let heard: Record<string, unknown>[];
const hear: Callback = (status) => heard.push(status);
const pass = async (ms: number): Promise<void> => {
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  service = new StatusService(systemClock, { token: 'secret' });
  service.counts = { queued: 12, input: 3, output: 85 };
  wire = new MemoryFetch(service, systemClock);
  vi.stubGlobal('fetch', wire.fetch);
  heard = [];
  return () => vi.useRealTimers();
});

const first = { queued: 12, processing: 3, completed: 85, timestamp: '2026-11-22T18:20:31.000Z' };

describe('the app', () => {
  it('has the long polling and SSE code character for character, and two added lines', () => {
    const app = lines(seed('services/ApiService.js'));
    for (const name of ['long-polling', 'sse']) {
      const snippet = lines(seed(`snippets/${name}.js`)).filter(Boolean);
      expect(app.filter(Boolean).join('\n')).toContain(snippet.join('\n'));
    }
    expect(app.filter((line) => line.endsWith('// added'))).toHaveLength(2);
  });

  it('long polling: stop function at once, awaiting it works too, one held request', async () => {
    const apiService = loadApp();
    const stopPolling = apiService.startLongPolling(hear);
    expect(stopPolling).toBeTypeOf('function');
    expect(await stopPolling).toBeTypeOf('function');
    await pass(10_000);
    expect(heard).toEqual([first]);
    service.set({ queued: 11, input: 4 });
    await pass(0);
    expect(heard.at(-1)).toMatchObject({ queued: 11, processing: 4 });
    expect(wire.sent.map(({ url }) => url)).toEqual(Array(2).fill('https://status.test/api/cases/storage/status'));
    stopPolling();
    await pass(60_000);
    expect(wire.inFlight + service.waiters).toBe(0);
  });

  it('without the added line its own long polling asks ten times a second (this is what is replaced)', async () => {
    const stop = await loadApp(false).startLongPolling(hear);
    await pass(10_000);
    expect(wire.sent.length).toBeGreaterThan(90);
    stop();
  });

  it('SSE: named events arrive, with the bearer token, until unsubscribed', async () => {
    const unsubscribe = loadApp().subscribeToStorageStatus(hear);
    await pass(1000);
    service.set({ output: 86 });
    await pass(0);
    expect(heard).toEqual([first, expect.objectContaining({ completed: 86 })]);
    expect(wire.sent).toMatchObject([
      { url: 'https://status.test/api/cases/storage/status/stream', headers: { authorization: 'Bearer secret' } },
    ]);
    unsubscribe();
    await pass(0);
    expect(service.waiters).toBe(0);
  });

  it.each(['theirs', 'ours'])('poller (%s): start, ETag, 304, stop', async (whose) => {
    const apiService = loadApp();
    const Theirs = new Function(`${seed('snippets/poller.js')}; return StorageStatusPoller;`)() as new (
      service: App,
    ) => Poller;
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const poller: Poller =
      whose === 'ours' ? (new StorageStatusPoller(apiService) as unknown as Poller) : new Theirs(apiService);
    poller.start(hear as never, 3000);
    await pass(10_000);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toMatchObject({ success: true, data: { queued_count: 12, input_count: 3, output_count: 85 } });
    if (whose === 'ours') expect(heard[0]).toMatchObject(first);
    expect(poller.lastETag).toBe('"g1.1"');
    expect(wire.sent.at(-1)?.headers['if-none-match']).toBe('"g1.1"');
    expect(wire.sent.length).toBe(whose === 'ours' ? 4 : 3); // ours asks at once, theirs after an interval
    service.set({ queued: 0 });
    await pass(3000);
    expect(heard).toHaveLength(2);
    poller.stop();
    const before = wire.sent.length;
    await pass(30_000);
    expect(wire.sent.length).toBe(before);
    expect(log.mock.calls.length).toBe(whose === 'ours' ? 0 : 2);
  });

  it('poller: starting again replaces, stopping twice is fine, the ETag is remembered over both', async () => {
    const poller = new StorageStatusPoller(loadApp());
    poller.start(() => undefined);
    await pass(100);
    poller.start(hear as never);
    await pass(100);
    poller.stop();
    poller.stop();
    poller.start(hear as never);
    await pass(100);
    expect(wire.maxInFlight).toBe(1);
    expect(wire.sent.slice(1).every(({ headers }) => headers['if-none-match'] === '"g1.1"')).toBe(true);
    expect(heard).toHaveLength(2);
    poller.stop();
  });

  it('backoff snippet: wrapped around the added calls it runs and never has to back off', async () => {
    const apiService = loadApp();
    let stop = (): void => undefined;
    const poll = async (): Promise<void> => {
      stop = apiService.startLongPolling(hear);
    };
    const run = new Function(
      'poll',
      `${seed('snippets/backoff.js')}; return { pollWithBackoff, delay: () => retryDelay };`,
    );
    const { pollWithBackoff, delay } = run(poll) as { pollWithBackoff(): Promise<void>; delay(): number };
    wire.fault = () => 'refuse';
    await pollWithBackoff();
    await pass(5000);
    expect(delay()).toBe(1000);
    const failed = wire.sent.length;
    expect(failed).toBeGreaterThan(1);
    wire.fault = () => undefined;
    await pass(30_000);
    expect(heard).toEqual([first]);
    stop();
  });

  it('backoff snippet: around a call of its own it doubles to 30 s', async () => {
    const poll = vi.fn().mockRejectedValue(new Error('down'));
    const run = new Function(
      'poll',
      `${seed('snippets/backoff.js')}; return { pollWithBackoff, delay: () => retryDelay };`,
    );
    const { pollWithBackoff, delay } = run(poll) as { pollWithBackoff(): Promise<void>; delay(): number };
    await pollWithBackoff();
    await pass(120_000);
    expect(delay()).toBe(30_000);
  });

  it('baseUrl, basePath and accessToken are read at each request; a scheme is taken as it is', async () => {
    const apiService = loadApp();
    const stop = apiService.startLongPolling(hear);
    await pass(50);
    Object.assign(apiService, { baseUrl: 'http://127.0.0.1:7071', basePath: '/v2', accessToken: 'next' });
    await pass(100);
    expect(wire.sent[1]).toMatchObject({
      url: 'http://127.0.0.1:7071/v2/cases/storage/status',
      headers: { authorization: 'Bearer next' },
    });
    stop();
  });

  it('100 calls share one connection; each method has its own', async () => {
    const apiService = loadApp();
    const stops = Array.from({ length: 100 }, () => apiService.startLongPolling(hear));
    await pass(1000);
    expect(heard).toHaveLength(100);
    expect([wire.maxInFlight, wire.sent.length]).toEqual([1, 2]);
    for (const stop of stops) stop();
    await pass(0);
    expect(wire.inFlight).toBe(0);
  });

  it('intervalMs paces answers that the server does not hold', async () => {
    wire.fault = () => (request) => service.handle({ ...request, headers: { authorization: 'Bearer secret' } });
    const stop = loadApp().startLongPolling(hear, 10_000);
    await pass(60_000);
    expect(wire.sent.length).toBeLessThanOrEqual(9);
    stop();
  });
});
