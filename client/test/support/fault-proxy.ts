/** A proxy between a client and a real server that does to answers what networks and proxies do. */
import { createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http';
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

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const sockets = new Set<ServerResponse>();
  let lastBody = '';
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
      const answerHeaders = { ...answer.headers };
      if (faults.stripETag) delete answerHeaders.etag;
      let status = answer.statusCode ?? 502;
      if (status === 304 && faults.resend200) {
        status = 200;
        response.writeHead(status, { ...answerHeaders, 'content-type': 'application/json' }).end(lastBody);
        return;
      }
      response.writeHead(status, answerHeaders);
      if (!faults.buffer) response.flushHeaders();
      pass(answer, response, faults);
    });
    upstreamRequest.on('error', () => response.destroy());
    response.on('close', () => upstreamRequest.destroy());
    upstreamRequest.end();
  }

  function pass(answer: IncomingMessage, response: ServerResponse, faults: Faults): void {
    const held: Buffer[] = [];
    const isJson = answer.headers['content-type'] === 'application/json';
    answer.on('data', (chunk: Buffer) => {
      if (isJson) lastBody = chunk.toString();
      if (faults.cut) {
        response.write(chunk.subarray(0, chunk.length / 2), () => response.socket?.resetAndDestroy());
      } else if (faults.buffer) held.push(chunk);
      else response.write(chunk);
    });
    answer.on('end', () => response.end(Buffer.concat(held)));
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
    setTimeout(() => forward(incoming, response, faults), faults.delayMs ?? 0);
  });
  const listening = await listen(server);
  return Object.assign(proxy, listening);
}
