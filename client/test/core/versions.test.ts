/** Validators: sent, lost, stripped, repeated, swapped back. */
import { describe, expect, it, vi } from 'vitest';
import type { Transport } from '../../src/types.js';
import { seededRandom, settle } from '../support/fake-clock.js';
import { createRig, type Rig } from '../support/rig.js';
import { type Answer, problem, type Request } from '../support/status-service.js';

/** What a header can carry between quotes, of the length that the server takes with them. */
const SENDABLE = /^[\x21\x23-\x7e]{1,4094}$/;

/** Versions that no request can carry, and a few that it can, made of what headers trip over. */
function oddVersions(count: number): string[] {
  const random = seededRandom(7);
  const parts = ['a', '-', '~', '!', '\\', ',', ' ', '"', '\t', '\n', '\r', '\0', '\x7f', 'é', '中', '\ud800', '🧾'];
  const word = (length: number): string =>
    Array.from({ length }, () => parts[Math.floor(random() * parts.length)]).join('');
  return ['x'.repeat(4094), 'x'.repeat(4095), ...Array.from({ length: count }, (_, i) => word(1 + (i % 4)))];
}

/** Lets the service answer, with the request and the answer changed on the way. */
function proxy(rig: Rig, onRequest: (request: Request) => Request, onAnswer: (answer: Answer) => Answer): void {
  rig.wire.fault = () => async (request) => onAnswer(await rig.service.handle(onRequest(request)));
}

describe('the validator', () => {
  it('long poll: first a plain GET, then If-None-Match with Prefer: wait=25', async () => {
    const { clock, wire, start } = createRig();
    await start();
    await clock.advance(1000);
    const [first, second] = wire.sent;
    expect(first?.headers).toEqual({ accept: 'application/json', authorization: 'Bearer secret' });
    expect(second?.headers).toMatchObject({ 'if-none-match': '"g1.1"', prefer: 'wait=25' });
    expect(first?.url).toBe('https://status.test/api/cases/storage/status');
  });

  it('a change wakes the held request, and the next is held again', async () => {
    const { clock, wire, service, heard, start } = createRig();
    await start();
    await clock.advance(10_000);
    const before = wire.sent.length;
    service.set({ queued: 5 });
    await settle();
    expect(heard.at(-1)).toMatchObject({ queued: 5 });
    await clock.advance(5_000);
    expect(wire.sent.length).toBe(before + 1);
  });

  it('200 with an unchanged version is unchanged (native HTTP caches do that)', async () => {
    const rig = createRig();
    const onChange = vi.fn();
    await rig.start();
    await rig.clock.advance(1000);
    proxy(
      rig,
      (request) => request,
      (answer) => {
        if (answer.status !== 304) return answer;
        const data = { queued_count: 0, input_count: 0, output_count: 0, timestamp: 'any', version: 'g1.1' };
        return { ...answer, status: 200, body: JSON.stringify({ success: true, data }) };
      },
    );
    rig.client.watch(onChange);
    await rig.clock.advance(60_000);
    expect(rig.heard.length).toBe(1);
    expect(onChange).not.toHaveBeenCalled();
    expect(rig.wire.sent.length).toBeLessThanOrEqual(5);
  });

  it('an ETag that is stripped or weakened is not missed: the body carries the version', async () => {
    for (const etag of [undefined, 'W/"g1.1-gzip"']) {
      const rig = createRig();
      proxy(
        rig,
        (request) => request,
        (answer) => {
          const { etag: _, ...headers } = answer.headers;
          return { ...answer, headers: etag ? { ...headers, etag } : headers };
        },
      );
      await rig.start();
      await rig.clock.advance(60_000);
      expect(rig.wire.sent.at(-1)?.headers['if-none-match']).toBe('"g1.1"');
      expect(rig.wire.sent.length).toBeLessThanOrEqual(5);
    }
  });

  it('without a version in the body the ETag is used', async () => {
    const rig = createRig();
    proxy(
      rig,
      (request) => request,
      (answer) =>
        answer.status === 200 ? { ...answer, body: (answer.body as string).replace(',"version":"g1.1"', '') } : answer,
    );
    await rig.start();
    await rig.clock.advance(1000);
    expect(rig.wire.sent[1]?.headers['if-none-match']).toBe('"g1.1"');
  });

  it('without any version the numbers are compared, and asked for at the interval', async () => {
    const rig = createRig();
    proxy(
      rig,
      (request) => request,
      ({ status, body }) => ({ status, headers: {}, body: (body as string).replace(/,"version":"[^"]*"/, '') }),
    );
    await rig.start();
    await rig.clock.advance(30_000);
    expect(rig.heard.length).toBe(1);
    expect(rig.client.version).toBeNull();
    expect(rig.wire.sent.length).toBeLessThanOrEqual(12);
    rig.service.set({ output: 2 });
    await rig.clock.advance(3_000);
    expect(rig.heard.at(-1)?.completed).toBe(2);
  });

  it('a path that loses request headers gets the validator and the wait in the query, and is held again', async () => {
    const rig = createRig();
    proxy(
      rig,
      ({ headers: { authorization = '' }, ...request }) => ({ ...request, headers: { authorization } }),
      (answer) => answer,
    );
    await rig.start();
    await rig.clock.advance(60_000);
    expect(rig.wire.sent.at(-1)?.target).toBe('/api/cases/storage/status?since=g1.1&wait=25');
    const settled = rig.wire.sent.length;
    await rig.clock.advance(600_000);
    expect((rig.wire.sent.length - settled) / 10).toBeLessThanOrEqual(3);
    rig.service.set({ queued: 1 });
    await settle();
    expect(rig.heard.at(-1)?.queued).toBe(1);
  });

  it('a server that goes back is followed: versions are compared by inequality', async () => {
    const { clock, service, heard, start } = createRig();
    service.goTo(900, { queued: 10 });
    await start();
    await clock.advance(1000);
    service.goTo(3, { queued: 2 });
    await clock.advance(1000);
    expect(heard.map((status) => status.queued)).toEqual([10, 2]);
  });

  it('304 to a request without a validator is trouble, not a status', async () => {
    const { wire, client, start } = createRig();
    wire.fault = () => ({ status: 304, headers: {}, body: '' });
    await start();
    expect(client.getSnapshot()).toMatchObject({ status: null, error: { code: 'protocol' } });
  });

  it('baseUrl and token are read at each request', async () => {
    let n = 0;
    const { clock, wire, start } = createRig({
      transport: 'poll',
      baseUrl: () => `https://host${n}.test/api/`,
      getToken: () => (n === 0 ? 'secret' : null),
    });
    await start();
    n = 1;
    await clock.advance(3000);
    expect(wire.sent.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['https://host0.test/api/cases/storage/status', 'Bearer secret'],
      ['https://host1.test/api/cases/storage/status', undefined],
    ]);
  });

  const body = (version: string): string => {
    const counts = { queued_count: 1, input_count: 0, output_count: 0, timestamp: 't' };
    return JSON.stringify({ success: true, data: { ...counts, ...(version && { version }) } });
  };
  async function* frame(id: string): AsyncGenerator<string> {
    yield `id: ${id}\nevent: status_update\ndata: {"queued":1,"processing":0,"completed":0}\n\n`;
  }
  const eventStream = { 'content-type': 'text/event-stream' };
  it.each<[string, Transport, (version: string) => Answer]>([
    ['body', 'long-poll', (version) => ({ status: 200, headers: {}, body: body(version) })],
    ['ETag', 'poll', (version) => ({ status: 200, headers: { etag: `"${version}"` }, body: body('') })],
    ['stream', 'sse', (version) => ({ status: 200, headers: eventStream, body: frame(version) })],
  ])(
    'a version in the %s that no header can carry is none, and the client goes on',
    async (place, transport, answer) => {
      for (const version of oddVersions(120)) {
        if (place === 'ETag' && /[^\t -~\x80-\xff]/.test(version)) continue; // no answer can carry it either
        const rig = createRig({ transport });
        rig.wire.fault = ({ headers }) => {
          new Headers(headers); // throws, as every platform's `fetch` does
          return Object.values(headers).some(({ length }) => length > 4096)
            ? problem(400, 'Too long')
            : answer(version);
        };
        await rig.start();
        await rig.clock.advance(20_000);
        expect(rig.wire.sent.length, JSON.stringify(version)).toBeGreaterThan(3);
        expect(rig.client.state, JSON.stringify(version)).toBe('live');
        expect(rig.client.version ?? '-').toMatch(SENDABLE);
        if (place === 'body') expect(rig.client.version).toBe(SENDABLE.test(version) ? version : null);
        rig.client.close();
      }
    },
  );
});
