/** Server-Sent Events over fetch: what is sent, what is heard, when it gives way to long poll. */
import { describe, expect, it, vi } from 'vitest';
import { createStatusClient } from '../../src/index.js';
import { settle } from '../support/fake-clock.js';
import type { FetchLike } from '../../src/types.js';
import { cutAfter } from '../support/gateway.js';
import { healthyHour } from '../support/healthy-hour.js';
import type { Fault } from '../support/memory-fetch.js';
import { createRig, type Rig } from '../support/rig.js';
import { problem } from '../support/status-service.js';

const STREAM = '/api/cases/storage/status/stream';
const streams = (sent: readonly { target: string }[]) => sent.filter(({ target }) => target === STREAM).length;

describe('the stream', () => {
  it('hears every change on one request, with the bearer token', async () => {
    const { clock, wire, service, client, heard, start } = createRig({ transport: 'sse' });
    await start();
    service.set({ queued: 1 });
    await clock.advance(100);
    service.set({ queued: 2 });
    await clock.advance(100);
    expect(heard.map((status) => status.queued)).toEqual([0, 1, 2]);
    expect(wire.sent).toMatchObject([{ target: STREAM, headers: { authorization: 'Bearer secret' } }]);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
  });

  it('comes back with its last id after the server has ended it, and stays live meanwhile', async () => {
    const { clock, wire, states, heard, start } = createRig({ transport: 'sse' });
    await start();
    await clock.advance(181_000);
    expect(wire.sent.map(({ headers }) => headers['last-event-id'])).toEqual([undefined, 'g1.1']);
    expect(heard.length).toBe(1);
    expect(states).toEqual(['connecting', 'live']);
  });

  it('a stream that is ended early waits as long as retry: says', async () => {
    const { clock, wire, start } = createRig({ transport: 'sse' }, { streamLifeMs: 50, retryMs: 4000 });
    await start();
    await clock.advance(60_000);
    expect(wire.sent.length).toBeGreaterThan(8);
    expect(wire.sent.length).toBeLessThanOrEqual(31);
    const gaps = wire.times.slice(1, 8).map((at, i) => at - (wire.times[i] ?? 0));
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(2000);
  });

  it('falls silent: is given up after two missed heartbeats, says stale, and comes back', async () => {
    const { clock, wire, client, states, start } = createRig({ transport: 'sse' }, { keepAliveMs: 1_000_000 });
    await start();
    await clock.advance(34_900);
    expect(states).toEqual(['connecting', 'live']);
    await clock.advance(1_200);
    expect(states).toEqual(['connecting', 'live', 'stale', 'live']);
    expect(wire.sent.length).toBe(2);
    expect(client.getSnapshot()).toMatchObject({ error: null, transport: 'sse' });
  });

  it('fetch without a body stream (React Native): long poll at once', async () => {
    const { clock, wire, service, client, heard, start } = createRig({ transport: 'sse' });
    const original = wire.fetch;
    const { headers, status } = { headers: new Headers({ 'content-type': 'text/event-stream' }), status: 200 };
    const client2 = createStatusClient({
      baseUrl: 'https://status.test/api',
      getToken: () => 'secret',
      transport: 'sse',
      clock,
      fetch: async (url, init) =>
        url.endsWith('/stream') ? ({ status, headers, ok: true } as Response) : original(url, init),
    });
    client2.subscribe((next) => heard.push(next));
    await clock.advance(10);
    expect(client2.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    service.set({ queued: 8 });
    await clock.advance(1000);
    expect(heard.at(-1)?.queued).toBe(8);
    client2.close();
    await start();
    expect(client.getSnapshot().transport).toBe('sse');
  });

  it('without TextDecoder: long poll at once', async () => {
    vi.stubGlobal('TextDecoder', undefined);
    const { clock, wire, client, start } = createRig({ transport: 'sse' });
    const stop = await start();
    await clock.advance(10);
    expect(streams(wire.sent)).toBe(0);
    expect(client.getSnapshot().transport).toBe('long-poll');
    stop();
  });

  it.each(['headers', 'body'] as const)('an intermediary that buffers (%s): long poll within 2 s', async (what) => {
    const { clock, wire, service, client, heard, start } = createRig({ transport: 'sse' });
    const silent = {
      status: 200,
      headers: { 'content-type': 'text/event-stream' },
      body: (async function* () {
        await new Promise(() => undefined);
        yield '';
      })(),
    };
    wire.fault = ({ target }) => (target === STREAM ? (what === 'headers' ? 'hang' : silent) : undefined);
    await start();
    await clock.advance(2_100);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    service.set({ output: 4 });
    await clock.advance(500);
    expect(heard.at(-1)?.completed).toBe(4);
    await clock.advance(5 * 60_000);
    expect(streams(wire.sent)).toBe(1);
    // Not for ever: a path may heal.
    wire.fault = () => undefined;
    await clock.advance(90_000);
    expect(client.getSnapshot().transport).toBe('sse');
  });

  it('another network is another path: streaming is tried again', async () => {
    const { clock, wire, network, client, start } = createRig({ transport: 'sse' });
    network.set({ online: true, type: 'wifi' });
    wire.fault = ({ target }) => (target === STREAM ? 'hang' : undefined);
    await start();
    await clock.advance(6_000);
    expect(client.getSnapshot().transport).toBe('long-poll');
    wire.fault = () => undefined;
    network.set({ online: true, type: 'cellular' });
    await clock.advance(10);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
  });

  it('a server without the stream (404 twice): long poll', async () => {
    const { clock, wire, client, start } = createRig({ transport: 'sse' });
    wire.fault = ({ target }) => (target === STREAM ? problem(404, 'Not found') : undefined);
    await start();
    await clock.advance(4_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    expect(streams(wire.sent)).toBe(2);
  });

  it('an overloaded server (503) is no reason to fall back', async () => {
    const { clock, wire, client, start } = createRig({ transport: 'sse' });
    const asEvent = {
      status: 200,
      headers: { 'content-type': 'text/event-stream' },
      body: 'retry: 1000\nevent: unavailable\ndata: {}\n\n',
    };
    wire.fault = ({ headers }) =>
      headers.accept?.includes('application/problem+json') ? problem(503, 'Full', { 'retry-after': '1' }) : asEvent;
    await start();
    await clock.advance(20_000);
    expect(client.getSnapshot().error).toMatchObject({ httpStatus: 503 });
    expect(streams(wire.sent)).toBe(wire.sent.length);
    wire.fault = () => undefined;
    await clock.advance(30_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
  });

  it('events and fields it does not know are passed over; a broken frame is not', async () => {
    const { clock, wire, client, heard, start } = createRig({ transport: 'sse' });
    const data = JSON.stringify({ queued: 1, processing: 2, completed: 3, timestamp: 't', more: true });
    wire.fault = () => ({
      status: 200,
      headers: { 'content-type': 'text/event-stream; charset=utf-8' },
      body: (async function* () {
        yield `event: other\ndata: 1\n\nevent: status_update\nid: v9\ndata: ${data}\n\n`;
        yield 'event: status_update\nid: v10\ndata: {"queued": null}\n\n';
      })(),
    });
    await start();
    await clock.advance(0);
    expect(heard).toEqual([{ queued: 1, processing: 2, completed: 3, timestamp: 't' }]);
    expect(client.version).toBe('v9');
    expect(client.getSnapshot()).toMatchObject({ state: 'stale', error: { code: 'protocol' } });
  });

  it('unsubscribing ends the stream on the server', async () => {
    const { service, wire, start } = createRig({ transport: 'sse' });
    const stop = await start();
    expect(service.waiters).toBe(1);
    stop();
    await settle();
    expect(service.waiters + wire.inFlight).toBe(0);
  });
});

describe('streams that do not last', () => {
  const MINUTE = 60_000;
  const FRAME = `id: g1.1\nevent: status_update\ndata: ${JSON.stringify({ queued: 0, processing: 0, completed: 0, timestamp: 't', version: 'g1.1' })}\n\n`;
  const other = FRAME.replaceAll('g1.1', 'g1.0');
  const silence = (): Promise<never> => new Promise(() => undefined);
  const later = ({ clock }: Rig, ms: number): Promise<void> =>
    new Promise((resolve) => void clock.schedule(resolve, ms));

  /** What a stream says before it is of no more use. */
  const STREAMS: Record<string, (rig: Rig) => AsyncGenerator<string>> = {
    async *'cut after its first frame'() {
      yield FRAME;
      throw new TypeError('terminated');
    },
    async *'cut after a comment'() {
      yield FRAME;
      yield ': keep-alive\n\n';
      throw new TypeError('terminated');
    },
    async *'cut after two changes'() {
      yield other;
      yield FRAME;
      throw new TypeError('terminated');
    },
    async *'ended after its first frame'() {
      yield FRAME;
    },
    async *'ended after its first frame, with a long retry:'() {
      yield `retry: 10000\n${FRAME}`;
    },
    async *'cut after 5 s'(rig) {
      yield FRAME;
      await later(rig, 5000);
      throw new TypeError('terminated');
    },
    async *'silent after its first frame'() {
      yield FRAME;
      await silence();
    },
    async *'full of bytes that are no frames'(rig) {
      yield FRAME;
      for (;;) {
        await later(rig, 5000);
        yield 'nothing\n';
      }
    },
    async *'full of frames of another kind'(rig) {
      yield FRAME;
      for (;;) {
        await later(rig, 5000);
        yield 'event: advertisement\ndata: 1\n\n';
      }
    },
    async *'one line without an end'() {
      yield FRAME;
      for (let n = 0; n < 50; n += 1) yield 'x'.repeat(10_000);
      await silence();
    },
    async *'one frame without an end'() {
      yield `${FRAME}event: status_update\n`;
      for (let n = 0; n < 50; n += 1) yield `data: ${'x'.repeat(10_000)}\n`;
      await silence();
    },
    async *'broken in its second frame'() {
      yield FRAME;
      yield 'event: status_update\ndata: {"queued": "?"}\n\n';
    },
    async *'no stream at all, but comments'(rig) {
      for (;;) {
        yield ': processing\n\n';
        await later(rig, 1000);
      }
    },
    async *'one line without an end, from the start'() {
      for (let n = 0; n < 50; n += 1) yield 'x'.repeat(10_000);
      await silence();
    },
  };

  const faulty = (rig: Rig, name: string): Fault => {
    const body = (STREAMS[name] as (rig: Rig) => AsyncGenerator<string>)(rig);
    return { status: 200, headers: { 'content-type': 'text/event-stream' }, body };
  };

  it.each(Object.keys(STREAMS))('%s: becomes a long poll that lives, and a stream again after it', async (name) => {
    const onError = vi.fn();
    const rig = createRig({ transport: 'sse', onError });
    const { clock, wire, service, client, heard, start } = rig;
    wire.fault = ({ target }) => (target === STREAM ? faulty(rig, name) : undefined);
    await start();
    await clock.advance(3 * MINUTE);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    service.set({ queued: 1 });
    await clock.advance(3000);
    expect(heard.at(-1)?.queued).toBe(1);
    service.goTo(1, { queued: 0 });

    const [before, told] = [streams(wire.sent), onError.mock.calls.length];
    await clock.advance(60 * MINUTE);
    expect(streams(wire.sent) - before).toBeLessThanOrEqual(11);
    expect(onError.mock.calls.length - told).toBeLessThanOrEqual(11);
    expect(wire.sent.length).toBeLessThanOrEqual(200);

    wire.fault = () => undefined;
    const mended = wire.sent.length;
    await clock.advance(5 * MINUTE);
    expect(client.state).toBe('live');
    await clock.advance(5 * MINUTE);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
    await clock.advance(50 * MINUTE);
    expect(wire.sent.length - mended).toBeLessThanOrEqual(2 * (await healthyHour('sse')));
    client.close();
  });

  it.each(['cut after its first frame', 'cut after 5 s', 'ended after its first frame'])(
    '%s: nobody is told, because the next answer comes',
    async (name) => {
      const onError = vi.fn();
      const rig = createRig({ transport: 'sse', onError });
      rig.wire.fault = ({ target }) => (target === STREAM ? faulty(rig, name) : undefined);
      await rig.start();
      await rig.clock.advance(20 * MINUTE);
      expect(rig.states).toEqual(['connecting', 'live']);
      expect(onError).not.toHaveBeenCalled();
      rig.client.close();
    },
  );

  it.each([8, 15, 20, 30])('a gateway that cuts streams and held requests at %i s', async (seconds) => {
    const onError = vi.fn();
    const rig = createRig({ transport: 'sse', onError });
    rig.wire.fault = cutAfter(rig, seconds * 1000, 504);
    await rig.start();
    await rig.clock.advance(60 * MINUTE);
    expect(rig.states).toEqual(['connecting', 'live']);
    expect(onError).not.toHaveBeenCalled();
    expect(rig.wire.sent.length).toBeLessThanOrEqual(seconds === 8 ? 600 : 300);
    rig.client.close();
  });
});

it.each([
  ['line', ''],
  ['frame', 'data: x\n'],
  ['field that nobody knows', 'x: x\n'],
])('a %s without an end is not kept in memory', async (_, start) => {
  const rig = createRig({ transport: 'sse' });
  let chunks = 0;
  async function* endless(): AsyncGenerator<string> {
    for (; chunks < 200; chunks += 1) yield start + 'x'.repeat(10_000);
  }
  rig.wire.fault = ({ target }) =>
    target === STREAM ? { status: 200, headers: { 'content-type': 'text/event-stream' }, body: endless() } : undefined;
  await rig.start();
  expect(rig.client.getSnapshot().error?.code).toBe('protocol');
  expect(chunks).toBeLessThanOrEqual(9);
});

it('leaving before a stream has said anything says nothing about streams', async () => {
  const { clock, wire, activity, client, start } = createRig({ transport: 'sse' });
  wire.fault = () => 'hang';
  await start();
  for (let i = 0; i < 10; i += 1) {
    activity.set(false);
    await clock.advance(100);
    activity.set(true);
    await clock.advance(100);
  }
  wire.fault = () => undefined;
  client.refresh();
  await clock.advance(2000);
  for (let i = 0; i < 10; i += 1) {
    for (const active of [false, true]) activity.set(active);
    await clock.advance(1000);
  }
  expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
});

describe('where fetch cannot stream', () => {
  /** As React Native's: resolves with the whole body only, and has no stream of it. */
  function withoutBodies({ wire }: Rig): FetchLike {
    return async (url, init) => {
      const response = await wire.fetch(url, init);
      const { status, headers } = response;
      const body = await response.text();
      return { status, headers, text: async () => body } as Response;
    };
  }
  const HOUR = 3_600_000;

  async function observe(isPolyfilled: boolean, bodies: boolean): Promise<Rig> {
    if (isPolyfilled) vi.stubGlobal('Response', function Response() {}); // as React Native's, without `body`
    const options = bodies ? {} : { fetch: (...call: Parameters<FetchLike>) => withoutBodies(rig)(...call) };
    const rig: Rig = createRig({ transport: 'sse', ...options });
    vi.unstubAllGlobals(); // the test's own wire needs it
    await rig.start();
    return rig;
  }

  it('React Native: the numbers are there at once, no stream is ever tried', async () => {
    const { clock, wire, network, client, heard } = await observe(true, false);
    expect(heard).toHaveLength(1);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    await clock.advance(HOUR);
    client.refresh();
    network.set({ online: false, type: 'none' });
    network.set({ online: true, type: 'wifi' });
    await clock.advance(HOUR);
    expect(streams(wire.sent)).toBe(0);
    expect(client.state).toBe('live');
    client.close();
  });

  it('React Native with a fetch that streams (expo/fetch): the numbers at once, and then the stream', async () => {
    const { clock, wire, service, client, heard } = await observe(true, true);
    expect(heard).toHaveLength(1);
    await clock.advance(1000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
    service.set({ queued: 1 });
    await clock.advance(10);
    expect(heard.at(-1)?.queued).toBe(1);
    expect(wire.sent.map(({ target }) => target === STREAM)).toEqual([false, true]);
    client.close();
  });

  it('a fetch of the app that hides it: one stream is tried, for 2 s, and never again', async () => {
    const { clock, wire, network, client, heard } = await observe(false, false);
    await clock.advance(2100);
    expect(heard).toHaveLength(1);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    await clock.advance(HOUR);
    client.refresh();
    network.set({ online: false, type: 'none' });
    network.set({ online: true, type: 'wifi' });
    await clock.advance(HOUR);
    expect(streams(wire.sent)).toBe(1);
    client.close();
  });
});

describe('a server that takes its time', () => {
  it('a cold start is no reason for long poll', async () => {
    const rig = createRig({ transport: 'sse' });
    const warmAt = 6000;
    rig.wire.fault = () => async (request) => {
      await new Promise<void>((resolve) => void rig.clock.schedule(resolve, Math.max(warmAt - rig.clock.now(), 0)));
      return rig.service.handle(request);
    };
    await rig.start();
    await rig.clock.advance(7000);
    expect(rig.client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
  });

  it('a stream that is silent because the server hangs is a failure, and no verdict', async () => {
    const { clock, wire, client, start } = createRig({ transport: 'sse' });
    await start();
    wire.fault = () => 'hang';
    client.refresh();
    await clock.advance(60_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'stale', transport: 'sse', error: { code: 'timeout' } });
    wire.fault = () => undefined;
    await clock.advance(31_000);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'sse' });
  });
});

describe('auto', () => {
  it('is long poll where there is no page, and SSE in a browser', async () => {
    const native = createRig({ transport: 'auto' });
    expect(native.client.getSnapshot().transport).toBe('long-poll');
    vi.stubGlobal('document', { visibilityState: 'visible' });
    const web = createRig({ transport: 'auto' });
    expect(web.client.getSnapshot().transport).toBe('sse');
  });
});
