/** A proxy between a client and a real server that does to answers what networks and proxies do. */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as send,
  type ServerResponse,
} from 'node:http';
import { type Listening, listen } from './http-server.js';

export interface Faults {
  /** Answered instead of asking the server. */
  status?: number | undefined;
  retryAfter?: string | undefined;
  delayMs?: number | undefined;
  /** Ends the connection after half of the body. */
  cut?: boolean | undefined;
  stripETag?: boolean | undefined;
  /** Loses these request headers. */
  loseHeaders?: readonly string[] | undefined;
  /** Answers 304 with a 200 and the last body. */
  resend200?: boolean | undefined;
  /** Answers with the first status that came through, as a server whose counts were restored from a backup. */
  goBack?: boolean | undefined;
  /** Holds a stream's bytes back until it ends. */
  buffer?: boolean | undefined;
  /** Resets every connection. */
  offline?: boolean | undefined;
}

export interface FaultProxy extends Listening {
  /** Replaced or changed at any time; holds from the next request on. */
  faults: Faults;
  /** Requests that came in, and those that are open now. */
  count: number;
  open: number;
  maxOpen: number;
  /** Resets what is open. */
  cutNow(): void;
}

/** What a status answer was made of, to be given again. */
interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const isStream = (headers: IncomingHttpHeaders): boolean =>
  (headers['content-type'] ?? '').startsWith('text/event-stream');
const isStatus = (answer: IncomingMessage): boolean =>
  answer.statusCode === 200 && (answer.headers['content-type'] ?? '').startsWith('application/json');

/** Passes requests on to `upstream` (an origin). `port` 0 is a free one. */
export async function startFaultProxy(upstream: string, port = 0): Promise<FaultProxy> {
  const sockets = new Set<ServerResponse>();
  let last: Answer = { headers: {}, body: '' };
  /** The first status of each kind, for `goBack`. */
  const first: { json?: Answer; stream?: Answer } = {};
  const proxy: FaultProxy = {
    faults: {},
    count: 0,
    open: 0,
    maxOpen: 0,
    url: '',
    close: () => Promise.resolve(),
    cutNow() {
      for (const response of sockets) response.socket?.resetAndDestroy();
    },
  };

  function forward(incoming: IncomingMessage, response: ServerResponse, faults: Faults): void {
    const headers = { ...incoming.headers };
    for (const name of faults.loseHeaders ?? []) delete headers[name];
    const upstreamRequest = send(upstream + (incoming.url ?? ''), { method: incoming.method, headers }, (answer) => {
      const headers = { ...answer.headers };
      if (faults.stripETag) delete headers.etag;
      if (answer.statusCode === 304 && faults.resend200) {
        return void response.writeHead(200, { ...headers, 'content-type': 'application/json' }).end(last.body);
      }
      response.writeHead(answer.statusCode ?? 502, headers);
      if (!faults.buffer) response.flushHeaders();
      pass(answer, response, faults);
    });
    upstreamRequest.on('error', () => response.destroy());
    response.on('close', () => upstreamRequest.destroy());
    upstreamRequest.end();
  }

  /** A stream stays open after its old frame. */
  function replay({ headers, body }: Answer, response: ServerResponse): void {
    response.writeHead(200, headers).write(body);
    if (!isStream(headers)) response.end();
  }

  function pass(answer: IncomingMessage, response: ServerResponse, faults: Faults): void {
    const held: Buffer[] = [];
    let body = '';
    answer.on('data', (chunk: Buffer) => {
      body += chunk.toString();
      if (isStream(answer.headers) && body.includes('data:') && body.endsWith('\n\n')) {
        first.stream ??= { headers: answer.headers, body };
      }
      if (faults.cut) {
        response.write(chunk.subarray(0, chunk.length / 2), () => response.socket?.resetAndDestroy());
      } else if (faults.buffer) held.push(chunk);
      else response.write(chunk);
    });
    answer.on('end', () => {
      if (isStatus(answer)) {
        last = { headers: answer.headers, body };
        first.json ??= last;
      }
      response.end(Buffer.concat(held));
    });
    answer.on('error', () => response.destroy());
  }

  const server = createServer((incoming, response) => {
    const { faults } = proxy;
    proxy.count += 1;
    proxy.open += 1;
    proxy.maxOpen = Math.max(proxy.maxOpen, proxy.open);
    sockets.add(response);
    response.on('close', () => {
      proxy.open -= 1;
      sockets.delete(response);
    });
    if (faults.offline) return void response.socket?.resetAndDestroy();
    if (faults.status !== undefined) {
      const retryAfter = faults.retryAfter === undefined ? {} : { 'retry-after': faults.retryAfter };
      return void response.writeHead(faults.status, retryAfter).end();
    }
    const old = incoming.url?.includes('/stream') ? first.stream : first.json;
    if (faults.goBack && old && incoming.method === 'GET') return replay(old, response);
    setTimeout(() => forward(incoming, response, faults), faults.delayMs ?? 0);
  });
  const listening = await listen(server, port);
  return Object.assign(proxy, listening);
}
