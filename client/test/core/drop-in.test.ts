/** The drop-in is a drop-in: what an app does with its own methods' results it can do with ours. */
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type PolledStatus, StorageStatusPoller, withStorageStatus } from '../../src/index.js';
import { clientOf } from '../../src/react/index.js';
import { createRig, type Rig } from '../support/rig.js';

let rig: Rig;
const makeService = () => ({ baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' });
const options = () => ({ fetch: rig.wire.fetch, clock: rig.clock, onError: vi.fn() });

beforeEach(() => {
  rig = createRig();
});

describe('startLongPolling', () => {
  type Stop = () => void;
  type Started = ReturnType<ReturnType<typeof withStorageStatus>['startLongPolling']>;

  it.each<[string, (started: Started) => Stop | Promise<Stop>]>([
    ['called as it is', (started) => started],
    ['awaited', async (started) => await started],
    ['.then', (started) => started.then((stop) => stop)],
    [
      '.then().catch().finally()',
      (started) =>
        started
          .then((stop) => stop)
          .catch(() => () => undefined)
          .finally(() => undefined),
    ],
    ['.catch', (started) => started.catch(() => () => undefined)],
    ['.finally', (started) => started.finally(() => undefined)],
    ['returned from an async function', (started) => (async () => started)()],
    ['Promise.all', async (started) => (await Promise.all([started]))[0]],
    ['Promise.resolve', (started) => Promise.resolve(started)],
  ])('its result, %s, stops it', async (_, take) => {
    const heard = vi.fn();
    const stop = await take(withStorageStatus(makeService(), options()).startLongPolling(heard));
    await rig.clock.advance(1000);
    expect([heard.mock.calls.length, rig.wire.inFlight]).toEqual([1, 1]);
    expect('then' in stop).toBe(false);
    stop();
    stop();
    await rig.clock.advance(0);
    expect([rig.wire.inFlight, rig.clock.pending]).toEqual([0, 0]);
  });

  it('stopped before it is awaited: nothing is sent', async () => {
    const started = withStorageStatus(makeService(), options()).startLongPolling(() => undefined);
    started();
    (await started)();
    await rig.clock.advance(1000);
    expect(rig.wire.sent).toEqual([]);
  });
});

describe('a second withStorageStatus', () => {
  const spyOnConsole = () => vi.spyOn(console, 'error').mockImplementation(() => undefined);

  it.each(['before', 'after'])(
    'with other options says so, and changes nothing (%s the first client)',
    async (when) => {
      const error = spyOnConsole();
      const first = options();
      const apiService = withStorageStatus(makeService(), first);
      const stop = when === 'after' ? apiService.startLongPolling(() => undefined) : () => undefined;
      for (const other of [{ ...first, intervalMs: 10 }, {}, { ...first, fetch: vi.fn() }]) {
        withStorageStatus(apiService, other);
        expect(error).toHaveBeenCalledWith(expect.stringContaining('withStorageStatus'));
        error.mockClear();
      }
      const stopSse = apiService.subscribeToStorageStatus(() => undefined);
      await rig.clock.advance(100);
      expect(rig.wire.sent.length).toBeGreaterThan(0);
      stop();
      stopSse();
    },
  );

  it.each([
    ['with options', () => options(), 1],
    ['without', () => undefined, 0],
  ])('that is the first, but comes after a view has used the object: %s', (_, given, errors) => {
    const error = spyOnConsole();
    const apiService = makeService();
    clientOf(apiService); // as a view's first render
    withStorageStatus(apiService, given());
    expect(error).toHaveBeenCalledTimes(errors);
  });

  it('with the same options says nothing', () => {
    const error = spyOnConsole();
    const first = options();
    const apiService = withStorageStatus(makeService(), first);
    expect(withStorageStatus(apiService, { ...first, intervalMs: undefined })).toBe(apiService);
    withStorageStatus(makeService());
    expect(error).not.toHaveBeenCalled();
  });
});

it('what /native sets for all clients is in no module that a bundler leaves out', () => {
  const root = new URL('../../', import.meta.url);
  const { sideEffects } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { sideEffects: string[] };
  expect(readFileSync(new URL('src/native/index.ts', root), 'utf8')).toMatch(/^setDefaults\(/m);
  expect(sideEffects).toEqual(['./dist/native/index.js', './dist/cjs/native/index.js']);
});

describe('lastETag', () => {
  let poller: StorageStatusPoller;
  let heard: PolledStatus[];
  const start = () => poller.start((status) => heard.push(status), 3000);

  beforeEach(() => {
    poller = new StorageStatusPoller(withStorageStatus(makeService(), options()));
    heard = [];
    return () => poller.stop();
  });

  it('is a plain field: own, readable, writable, in JSON', async () => {
    expect(Object.getOwnPropertyDescriptor(poller, 'lastETag')).toMatchObject({ value: null, writable: true });
    start();
    await rig.clock.advance(1000);
    expect(Object.getOwnPropertyDescriptor(poller, 'lastETag')).toMatchObject({ value: '"g1.1"', writable: true });
    for (const value of ['"mine"', null, '']) {
      poller.lastETag = value;
      expect(poller.lastETag).toBe(value);
    }
  });

  it('is set before the callback is called', () => {
    const seen: unknown[] = [];
    poller.start(() => seen.push(poller.lastETag));
    return rig.clock.advance(100).then(() => expect(seen).toEqual(['"g1.1"']));
  });

  it.each([null, '', '"other"'])('set to %j while it runs: the next answer is an update, once', async (value) => {
    start();
    await rig.clock.advance(1000);
    poller.lastETag = value;
    await rig.clock.advance(9000);
    expect(heard).toHaveLength(2);
    expect(poller.lastETag).toBe('"g1.1"');
  });

  it('kept from an earlier run: no update until there is another', async () => {
    poller.lastETag = '"g1.1"';
    start();
    await rig.clock.advance(10_000);
    expect(heard).toEqual([]);
    rig.service.set({ queued: 5 });
    await rig.clock.advance(3000);
    expect(heard.map(({ queued }) => queued)).toEqual([5]);
    expect(poller.lastETag).toBe('"g1.2"');
  });

  it('two pollers of one object have their own, on one connection', async () => {
    start();
    await rig.clock.advance(1000);
    const second = new StorageStatusPoller(poller.apiService);
    expect(second.lastETag).toBeNull();
    const seen = vi.fn();
    second.start(seen);
    await rig.clock.advance(6000);
    expect([heard.length, seen.mock.calls.length, rig.wire.maxInFlight]).toEqual([1, 1, 1]);
    second.stop();
  });

  it("a server's further folders are in the update as in its body", async () => {
    rig.wire.fault = () => async (request) => {
      const { body } = await rig.service.handle({ ...request, headers: { authorization: 'Bearer secret' } });
      const more = (body as string).replace(',"timestamp"', ',"failed_count":4,"timestamp"');
      return { status: 200, headers: {}, body: more };
    };
    start();
    await rig.clock.advance(1000);
    const data = { queued_count: 0, input_count: 0, output_count: 0, failed_count: 4, version: 'g1.1' };
    expect(heard).toMatchObject([{ queued: 0, extra: { failed: 4 }, data }]);
    expect(Object.keys(heard[0]?.data ?? {})).toHaveLength(6);
  });

  it('a server without versions is told of at each answer, as without an ETag', async () => {
    rig.wire.fault = () => async (request) => {
      const { body } = await rig.service.handle({ ...request, headers: { authorization: 'Bearer secret' } });
      return { status: 200, headers: {}, body: (body as string).replace(/,"version":"[^"]*"/, '') };
    };
    start();
    await rig.clock.advance(10_000);
    expect(heard).toHaveLength(4);
    expect(poller.lastETag).toBeNull();
  });
});
