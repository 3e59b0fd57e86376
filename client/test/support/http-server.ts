/** A StatusService on a real socket. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Request, StatusService } from './status-service.js';

export interface Listening {
  readonly url: string;
  close(): Promise<void>;
}

/** Handles what is not the status API, such as a page or a storage; `false` lets the service answer. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-headers': 'authorization,if-none-match,prefer,last-event-id',
  'access-control-expose-headers': 'ETag,Retry-After,Preference-Applied',
  'access-control-max-age': '86400',
};

export async function listen(server: Server, port = 0): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const { port: actual } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${actual}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function serveStatus(service: StatusService, port = 0, other?: Handler): Promise<Listening> {
  const server = createServer((request, response) => {
    void (async () => {
      if (await other?.(request, response)) return;
      if (request.method === 'OPTIONS') response.writeHead(204, CORS).end();
      else await answerStatus(service, request, response);
    })().catch(() => response.destroy());
  });
  return listen(server, port);
}

export async function answerStatus(
  service: StatusService,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const request: Request = {
    method: incoming.method ?? 'GET',
    target: incoming.url ?? '/',
    headers: incoming.headers as Record<string, string>,
    signal: gone.signal,
  };
  const { status, headers, body } = await service.handle(request);
  if (gone.signal.aborted) return;
  response.writeHead(status, { ...headers, ...CORS });
  if (typeof body === 'string') return void response.end(body);
  response.flushHeaders();
  for await (const chunk of body) {
    if (gone.signal.aborted) return;
    response.write(chunk);
  }
  response.end();
}
