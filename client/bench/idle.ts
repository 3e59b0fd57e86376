/**
 * What an idle client costs on long poll: requests in two real minutes against the functions host, counted by a proxy.
 *
 * `DEMO_URL` measures a stack that runs already.
 */
import { createStatusClient } from '../src/index.js';
import { startFaultProxy } from '../test/support/fault-proxy.js';
import { pageConfig, startStack } from '../test/support/stack.js';
import type { Measurement } from './measurement.js';

const MINUTES = 2;
const LIMIT_PER_MINUTE = 3;
/** The first answer and the first held request are not idling yet. */
const SETTLE_MS = 1_000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function requestsWhileIdle(statusUrl: string): Promise<{ requests: number; state: string }> {
  const { origin, pathname } = new URL(statusUrl);
  const proxy = await startFaultProxy(origin);
  const client = createStatusClient({ baseUrl: proxy.url + pathname, transport: 'long-poll' });
  try {
    await new Promise<void>((resolve) => client.subscribe(() => resolve()));
    await sleep(SETTLE_MS);
    const before = proxy.count;
    await sleep(MINUTES * 60_000);
    return { requests: proxy.count - before, state: client.state };
  } finally {
    client.close();
    await proxy.close();
  }
}

export async function measure(): Promise<Measurement> {
  const stack = process.env.DEMO_URL ? null : await startStack();
  try {
    const { statusUrl } = await pageConfig(process.env.DEMO_URL ?? stack?.pageUrl ?? '');
    const { requests, state } = await requestsWhileIdle(statusUrl);
    const perMinute = requests / MINUTES;
    return {
      result: { minutes: MINUTES, requests, requests_per_minute: perMinute, limit: LIMIT_PER_MINUTE, state },
      withinLimit: perMinute <= LIMIT_PER_MINUTE && state === 'live',
    };
  } finally {
    await stack?.stop();
  }
}
