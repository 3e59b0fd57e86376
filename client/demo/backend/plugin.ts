/**
 * Lets `vite demo` and `vite preview demo` run by themselves: the status API and the storage in memory, behind the
 * page. The built page needs none of it; it reads `config.json` from whoever serves it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Plugin } from 'vite';
import { systemClock } from '../../src/clock.js';
import { type Counts, StatusService } from '../../test/support/status-service.js';
import { answerStatus } from '../../test/support/http-server.js';
import { StorageStub } from './storage-stub.js';

const SAS = 'sv=demo&sig=demo';
const ACCOUNT = '/devstoreaccount1';
/** About what an event takes to the counters. */
const EVENT_MS = 250;

type Next = () => void;

function createBackend(): (request: IncomingMessage, response: ServerResponse, next: Next) => void {
  const service = new StatusService(systemClock);
  const counts = (prefix = ''): Counts => ({
    queued: storage.count('queued', prefix),
    input: storage.count('input', prefix),
    output: storage.count('output', prefix),
  });
  const storage = new StorageStub(ACCOUNT, SAS, (name) => {
    setTimeout(() => {
      const [caseId = ''] = name.split('/');
      service.set(counts());
      service.caseOf(caseId).set(counts(`${caseId}/`));
    }, EVENT_MS);
  });
  return (request, response, next) => {
    const url = request.url ?? '/';
    if (url.startsWith('/config.json')) {
      const origin = `http://${request.headers.host ?? 'localhost'}`;
      const containers = { queued: 'queued', input: 'input', output: 'output' };
      const cases = process.env.CASE_FROM === 'first-segment';
      const config = { statusUrl: `${origin}/api`, blobUrl: origin + ACCOUNT, sas: SAS, containers, cases };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(config));
    } else if (url.startsWith('/api/')) void answerStatus(service, request, response).catch(() => response.destroy());
    else void storage.handle(request, response).then((handled) => handled || next());
  };
}

export function demoBackend(): Plugin {
  return {
    name: 'demo-backend',
    configureServer: (server) => void server.middlewares.use(createBackend()),
    configurePreviewServer: (server) => void server.middlewares.use(createBackend()),
  };
}
