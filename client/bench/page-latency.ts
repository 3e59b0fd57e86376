/**
 * From the choice of an image in the page to the changed number on it, in Chromium, on the whole local stack.
 *
 * `DEMO_URL` measures a stack that runs already; `UPLOADS` is how many for each transport.
 */
import { cpus } from 'node:os';
import { launchChromium, measureUpload } from '../test/support/browser.js';
import { percentile } from '../test/support/percentile.js';
import { startStack } from '../test/support/stack.js';
import type { Measurement } from './measurement.js';

const TRANSPORTS = ['long-poll', 'sse'] as const;
const LIMIT_P95_MS = 1_500;
/** A pause that ends at any phase of the server's poll. */
const PAUSE_MS = (upload: number): number => 50 + ((upload * 137) % 500);

async function timesOf(transport: string, pageUrl: string, uploads: number): Promise<number[]> {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`${pageUrl}?transport=${transport}`);
    await page.getByText('Live Updates').waitFor();
    const times: number[] = [];
    for (let upload = 0; upload < uploads; upload += 1) {
      await page.waitForTimeout(PAUSE_MS(upload));
      times.push(await measureUpload(page));
    }
    return times;
  } finally {
    await browser.close();
  }
}

export async function measure(): Promise<Measurement> {
  const uploads = Number(process.env.UPLOADS ?? 20);
  const stack = process.env.DEMO_URL ? null : await startStack();
  const pageUrl = process.env.DEMO_URL ?? stack?.pageUrl ?? '';
  const transports: Record<string, { p50_ms: number; p95_ms: number; max_ms: number }> = {};
  try {
    for (const transport of TRANSPORTS) {
      const times = await timesOf(transport, pageUrl, uploads);
      const [p50_ms, p95_ms, max_ms] = [50, 95, 100].map((percent) => Math.round(percentile(times, percent))) as [
        number,
        number,
        number,
      ];
      transports[transport] = { p50_ms, p95_ms, max_ms };
    }
  } finally {
    await stack?.stop();
  }
  return {
    result: { uploads, cores: cpus().length, limit_p95_ms: LIMIT_P95_MS, ...transports },
    withinLimit: Object.values(transports).every(({ p95_ms }) => p95_ms <= LIMIT_P95_MS),
  };
}
