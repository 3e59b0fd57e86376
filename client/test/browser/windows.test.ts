/** The client in real windows of a real Chromium, on HTTP/1.1, with the API on another origin than the page. */
import { createServer } from 'node:http';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.js';
import type { StatusClient, StatusClientOptions, Transport } from '../../src/types.js';
import { launchChromium } from '../support/browser.js';
import { bundle } from '../support/bundle.js';
import { type Listening, listen, serveStatus } from '../support/http-server.js';
import { StatusService } from '../support/status-service.js';

/** What a page of this test has. */
declare global {
  var createStatusClient: (options: StatusClientOptions) => StatusClient;
  var client: StatusClient;
}

const PAGE = `<script type="module">
  import { createStatusClient } from './client.js';
  globalThis.createStatusClient = createStatusClient;
</script>`;

let browser: Browser;
let site: Listening;
let context: BrowserContext;
let service: StatusService;
let api: Listening;
/** Requests since the start: method and target. */
let asked: string[];

beforeAll(async () => {
  browser = await launchChromium();
  const code = await bundle('index.ts');
  site = await listen(
    createServer((request, response) => {
      const isCode = request.url === '/client.js';
      response.writeHead(200, { 'content-type': isCode ? 'text/javascript' : 'text/html' }).end(isCode ? code : PAGE);
    }),
  );
});

afterAll(async () => {
  await browser?.close();
  await site?.close();
});

beforeEach(async () => {
  context = await browser.newContext();
  await serve(new StatusService(systemClock));
});

afterEach(async () => {
  await context.close();
  await api.close();
});

async function serve(status: StatusService): Promise<void> {
  service = status;
  asked = [];
  api = await serveStatus(service, 0, (request) => {
    asked.push(`${request.method} ${request.url}`);
    return false;
  });
}

const count = (method: string): number => asked.filter((line) => line.startsWith(method)).length;

interface Wish {
  readonly transport: Transport;
  readonly token?: string | null;
  readonly waitSeconds?: number;
}

/** A window with a client that is watched. */
async function openWindow({ transport, token = null, waitSeconds = 25 }: Wish): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => globalThis.createStatusClient !== undefined);
  const options = { baseUrl: `${api.url}/api`, transport, waitSeconds, intervalMs: 1000 };
  await page.evaluate(
    ([options, token]) => {
      globalThis.client = globalThis.createStatusClient({ ...options, getToken: () => token });
      globalThis.client.watch(() => undefined);
    },
    [options, token] as const,
  );
  return page;
}

const stateOf = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const { state, status, error } = globalThis.client.getSnapshot();
    return `${state} ${status?.queued} ${error?.code ?? ''}`.trim();
  });
const transportOf = (page: Page): Promise<string> => page.evaluate(() => globalThis.client.getSnapshot().transport);
const until = (pages: readonly Page[], expected: string, timeout: number) =>
  expect.poll(() => Promise.all(pages.map(stateOf)), { timeout }).toEqual(pages.map(() => expected));

describe.each(['long-poll', 'sse'] as const)('eight visible windows (%s)', (transport) => {
  it('are live, hear every change, leave room, and take over from those that close', async () => {
    const pages = await Promise.all(Array.from({ length: 8 }, () => openWindow({ transport })));
    await until(pages, 'live 0', 10_000);
    const transports = await Promise.all(pages.map(transportOf));
    expect(transports.filter((used) => used === transport)).toHaveLength(4);
    expect(transports.filter((used) => used === 'poll')).toHaveLength(4);
    for (const queued of [1, 2]) {
      service.set({ queued });
      await until(pages, `live ${queued}`, 4_000);
    }
    expect(service.waiters).toBeLessThanOrEqual(4);
    for (const page of pages.filter((_, i) => transports[i] === transport)) await page.close();
    const rest = pages.filter((page) => !page.isClosed());
    await expect.poll(() => service.waiters, { timeout: 5_000 }).toBe(4);
    service.set({ queued: 3 });
    await until(rest, 'live 3', 2_000);
    expect(await Promise.all(rest.map(transportOf))).toEqual(rest.map(() => transport));
  });
});

it('windows that hold the same request do not wait for one another in the browser’s cache', async () => {
  // Chromium lets the second of two requests for an address wait for 20 s, which with its own hold is too long.
  const pages = await Promise.all([0, 1, 2].map(() => openWindow({ transport: 'long-poll', waitSeconds: 25 })));
  await until(pages, 'live 0', 5_000);
  await expect.poll(() => service.waiters, { timeout: 5_000 }).toBe(3);
});

describe('preflights of another origin', () => {
  const QUIET = 5;
  const CHANGES = 3;

  /** Sent in a quiet time of so many answers, and in as many changes. */
  async function preflights(wish: Wish): Promise<{ quiet: number; busy: number }> {
    service.token = wish.token ?? null;
    const page = await openWindow({ ...wish, waitSeconds: 1 });
    await until([page], 'live 0', 5_000);
    await expect.poll(() => count('GET'), { timeout: 20_000 }).toBeGreaterThanOrEqual(QUIET);
    const quiet = count('OPTIONS');
    for (let queued = 1; queued <= CHANGES; queued += 1) {
      service.set({ queued });
      await until([page], `live ${queued}`, 4_000);
      await page.waitForTimeout(300);
    }
    return { quiet, busy: count('OPTIONS') - quiet };
  }

  it.each(['long-poll', 'poll'] as const)('%s without a token: none', async (transport) => {
    expect(await preflights({ transport })).toMatchObject({ quiet: 0, busy: 0 });
  });

  it('long poll with a token: one for the first request, and one for each version', async () => {
    expect(await preflights({ transport: 'long-poll', token: 'secret' })).toMatchObject({ quiet: 2, busy: CHANGES });
  });

  it.each([null, 'secret'])('a stream (token: %j): one, however often it is opened', async (token) => {
    await api.close();
    await serve(new StatusService(systemClock, { streamLifeMs: 300, retryMs: 100 }));
    service.token = token;
    await openWindow({ transport: 'sse', token });
    await expect.poll(() => count('GET'), { timeout: 20_000 }).toBeGreaterThan(4);
    expect(count('OPTIONS')).toBe(1);
  });
});
