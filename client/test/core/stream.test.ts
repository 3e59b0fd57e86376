/** Server-Sent Events over fetch: what is sent, what is heard, when it gives way to long poll. */
import { describe, expect, it, vi } from 'vitest';
import { createStatusClient } from '../../src/index.js';
import { settle } from '../support/fake-clock.js';
import { createRig } from '../support/rig.js';
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

  it.each(['headers', 'body'] as const)('an intermediary that buffers (%s): long poll within 5 s', async (what) => {
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
    await clock.advance(5_100);
    expect(client.getSnapshot()).toMatchObject({ state: 'live', transport: 'long-poll' });
    service.set({ output: 4 });
    await clock.advance(500);
    expect(heard.at(-1)?.completed).toBe(4);
    await clock.advance(5 * 60_000);
    expect(streams(wire.sent)).toBe(1);
    // Not for ever: a path may heal.
    wire.fault = () => undefined;
    await clock.advance(6 * 60_000);
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

describe('auto', () => {
  it('is long poll where there is no page, and SSE in a browser', async () => {
    const native = createRig({ transport: 'auto' });
    expect(native.client.getSnapshot().transport).toBe('long-poll');
    vi.stubGlobal('document', { visibilityState: 'visible' });
    const web = createRig({ transport: 'auto' });
    expect(web.client.getSnapshot().transport).toBe('sse');
  });
});
