/**
 * The built page in a real Chromium.
 *
 * By default on the in-memory backend; with `DEMO_URL` on the stack whose page that is (`npm run test:stack`). Either
 * way the status goes through a proxy that can be taken away.
 */
import type { Browser, Page } from 'playwright-core';
import { type PreviewServer, preview } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DemoConfig } from '../../demo/src/config.js';
import { audit, launchChromium, upload } from '../support/browser.js';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { pageConfig } from '../support/stack.js';

const { DEMO_URL } = process.env;
/** Of the indicator's words; its dot is lighter. */
const GREEN = 'rgb(42, 116, 48)';
/** A change takes longer to arrive through a real storage, its events and the server's poll. */
const PATIENCE_MS = 10_000;
const root = new URL('../../demo', import.meta.url).pathname;

let pageUrl: string;
let server: PreviewServer | null = null;
let browser: Browser;
let config: DemoConfig;
let proxy: FaultProxy;
let page: Page;

beforeAll(async () => {
  if (!DEMO_URL) server = await preview({ root, logLevel: 'silent', preview: { port: 0, host: '127.0.0.1' } });
  pageUrl = DEMO_URL ?? server?.resolvedUrls?.local[0] ?? '';
  browser = await launchChromium();
  config = await pageConfig(pageUrl);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(async () => {
  proxy = await startFaultProxy(new URL(config.statusUrl).origin);
});

afterEach(async () => {
  await page.close();
  await proxy.close();
});

async function open(transport: string, colorScheme: 'light' | 'dark' = 'light', width = 1280): Promise<void> {
  page = await browser.newPage({ viewport: { width, height: 860 }, colorScheme });
  const statusUrl = proxy.url + new URL(config.statusUrl).pathname;
  await page.route('**/config.json', (route) => route.fulfill({ json: { ...config, statusUrl } }));
  await page.goto(`${pageUrl}?transport=${transport}`);
  await page.getByText('Live Updates').waitFor();
}

const item = (label: string) => page.getByLabel(new RegExp(`^${label}: `));
const count = async (label: string): Promise<number> =>
  Number(((await item(label).getAttribute('aria-label')) ?? '').split(': ')[1]);
const indicatorColor = (text: string): Promise<string> =>
  page
    .getByTestId('legend')
    .getByText(text)
    .evaluate((node) => getComputedStyle(node).color);
describe.each(['long-poll', 'sse'])('%s', (transport) => {
  it('an uploaded image changes its number and pulses that item only', async () => {
    await open(transport);
    const before = await count('Queued');
    const peaks = page.evaluate(async () => {
      const nodes = ['Queued', 'Processing'].map(
        (label) => document.querySelector(`[aria-label^="${label}: "]`) as Element,
      );
      const peak = [1, 1];
      const until = performance.now() + 3000;
      while (performance.now() < until) {
        await new Promise(requestAnimationFrame);
        nodes.forEach((node, i) => {
          peak[i] = Math.max(peak[i] ?? 1, new DOMMatrix(getComputedStyle(node).transform).a);
        });
      }
      return peak;
    });
    await upload(page);
    await expect.poll(() => count('Queued'), { timeout: PATIENCE_MS }).toBe(before + 1);
    const [queued = 0, processing = 0] = await peaks;
    expect(queued).toBeGreaterThan(1.03);
    expect(queued).toBeLessThanOrEqual(1.1001);
    expect(processing).toBe(1);
  });

  it('loses the server: leaves green; gets it back: green again', async () => {
    await open(transport);
    expect(await indicatorColor('Live Updates')).toBe(GREEN);
    const port = Number(new URL(proxy.url).port);
    await proxy.close();
    await page.getByText('Connection lost').waitFor({ timeout: 5_000 });
    expect(await indicatorColor('Connection lost')).not.toBe(GREEN);
    expect(await page.getByText('Live Updates').count()).toBe(0);
    proxy = await startFaultProxy(new URL(config.statusUrl).origin, port);
    await page.getByText('Live Updates').waitFor({ timeout: 35_000 });
    expect(await indicatorColor('Live Updates')).toBe(GREEN);
  });
});

it('the pipeline moves every image to completed; Delete takes them away', async () => {
  await open('long-poll');
  const [queued, completed] = [await count('Queued'), await count('Completed')];
  await page.getByRole('button', { name: /samples/ }).click();
  await expect.poll(() => count('Queued'), { timeout: PATIENCE_MS }).toBe(queued + 5);
  await page.getByRole('button', { name: /Run the pipeline/ }).click();
  const counts = () => Promise.all(['Queued', 'Processing', 'Completed'].map(count));
  await expect.poll(counts, { timeout: 30_000 }).toEqual([queued, 0, completed + 5]);
  await page.getByRole('button', { name: 'Delete' }).click();
  await expect.poll(() => count('Completed'), { timeout: PATIENCE_MS }).toBe(completed);
  expect(await page.getByRole('alert').count()).toBe(0);
});

it('says what the pipeline moves', async () => {
  await open('long-poll');
  await page.getByText('moves the images that you upload here').waitFor();
  await page.getByRole('button', { name: /samples/ }).click();
  await page.getByText('moves your 5 images').waitFor();
  expect(await page.getByRole('button', { name: 'Run the pipeline · 5' }).isEnabled()).toBe(true);
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('moves the images that you upload here').waitFor();
});

it('draws the three counts on one scale', async () => {
  await open('long-poll');
  await page.getByRole('button', { name: /samples/ }).click();
  await expect.poll(() => count('Queued'), { timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(5);
  const heights = () =>
    page.locator('.strip .line').evaluateAll((lines) => lines.map((line) => (line as SVGPathElement).getBBox().height));
  const counts = await Promise.all(['Queued', 'Processing', 'Completed'].map(count));
  const top = Math.max(...counts, 1);
  await page.getByText(`One scale for all: 0 to ${top}.`).waitFor();
  const [queued = 0, processing = 0] = await heights();
  expect(processing).toBe(0);
  expect(queued).toBeGreaterThan(0);
  await page.getByRole('button', { name: 'Delete' }).click();
});

it('speaks Indonesian when asked to, all of it, and English again', async () => {
  await open('long-poll');
  await page.getByRole('button', { name: 'Bahasa Indonesia' }).click();
  await page.getByText('Pembaruan Langsung').waitFor();
  await page.getByRole('heading', { name: 'Koneksi' }).waitFor();
  expect(await page.title()).toBe('Status penyimpanan langsung');
  expect(await page.evaluate(() => document.documentElement.lang)).toBe('id');
  const english = /\b(the|queued|images|upload|last|minute|delete|samples)\b/i;
  expect((await page.locator('body').innerText()).match(english)).toBeNull();
  await page.getByRole('button', { name: 'English' }).click();
  await page.getByText('Live Updates').waitFor();
});

it('coming back to the tab does not blink', async () => {
  await open('long-poll');
  await expect.poll(() => page.getByTestId('requests').textContent()).not.toBe('0');
  const seen = page.evaluate(async () => {
    const become = (state: string): void => {
      Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
      document.dispatchEvent(new Event('visibilitychange'));
    };
    const looks = new Set<string>();
    for (let visit = 0; visit < 3; visit += 1) {
      become('hidden');
      await new Promise((resolve) => setTimeout(resolve, 300));
      become('visible');
      const until = performance.now() + 1500;
      while (performance.now() < until) {
        await new Promise(requestAnimationFrame);
        const legend = document.querySelector('[data-testid=legend]') as HTMLElement;
        const number = legend.querySelector('[aria-label^=Completed] > :last-child') as Element;
        looks.add(`${legend.innerText.split('\n').at(-1)} ${getComputedStyle(number).color}`);
      }
    }
    return [...looks];
  });
  expect((await seen).filter((look) => !/queued, /.test(look))).toEqual(['Live Updates rgb(30, 144, 255)']);
});

it.each(['light', 'dark'] as const)('axe finds nothing on the page, %s', async (scheme) => {
  await open('long-poll', scheme);
  await page.getByRole('button', { name: /samples/ }).click();
  await expect.poll(() => page.getByRole('listitem').count(), { timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(5);
  expect(await audit(page)).toEqual([]);
  await page.getByRole('button', { name: 'Delete' }).click();
});

it('the transport can be switched', async () => {
  await open('long-poll');
  await page.getByText('SSE', { exact: true }).click();
  await page.getByText('over SSE').waitFor();
  await page.getByText('Live Updates').waitFor();
});

it('offline in the browser: says so, and comes back', async () => {
  await open('sse');
  await page.context().setOffline(true);
  await page.getByTestId('legend').getByText('Offline').waitFor();
  await page.context().setOffline(false);
  await page.getByText('Live Updates').waitFor();
});

it.each([
  ['light', 1280],
  ['dark', 1280],
  ['light', 390],
  ['dark', 390],
] as const)('%s at %i px fits, without a message in the console', async (scheme, width) => {
  const messages: string[] = [];
  await open('long-poll', scheme, width);
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(error.message));
  await page.getByRole('button', { name: /samples/ }).click();
  await expect.poll(() => page.getByRole('listitem').count(), { timeout: PATIENCE_MS }).toBeGreaterThanOrEqual(5);
  await page.waitForTimeout(600);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
  expect(messages).toEqual([]);
});
