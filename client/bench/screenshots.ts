/** Pictures of the page on the whole local stack, for the README: `docs/*.png`. */
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../test/support/browser.js';
import { type FaultProxy, startFaultProxy } from '../test/support/fault-proxy.js';
import { savePng } from '../test/support/pictures.js';
import { pageConfig, startStack } from '../test/support/stack.js';
import type { Measurement } from './measurement.js';

const DOCS = fileURLToPath(new URL('../docs', import.meta.url));
const ROUNDS = 4;
const ROUND_MS = 7_000;

interface Look {
  readonly colorScheme: 'light' | 'dark';
  readonly width: number;
}

async function open(browser: Browser, pageUrl: string, proxy: FaultProxy, look: Look): Promise<Page> {
  const page = await browser.newPage({
    colorScheme: look.colorScheme,
    viewport: { width: look.width, height: 800 },
    deviceScaleFactor: look.width < 500 ? 2 : 1,
  });
  const config = await pageConfig(pageUrl);
  const statusUrl = proxy.url + new URL(config.statusUrl).pathname;
  await page.route('**/config.json', (route) => route.fulfill({ json: { ...config, statusUrl } }));
  await page.goto(`${pageUrl}?transport=long-poll`);
  await page.getByText('Live Updates').waitFor();
  return page;
}

/** Images on their way, for long enough that the chart shows it. */
async function bringToLife(page: Page): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    await page.getByRole('button', { name: /samples/ }).click();
    await page.waitForTimeout(ROUND_MS / 2);
    if (round < ROUNDS - 1) await page.getByRole('button', { name: /Run the pipeline/ }).click();
    await page.waitForTimeout(ROUND_MS / 2);
  }
  await page.getByRole('button', { name: /Run the pipeline/ }).click();
  await page.getByLabel(/^Processing: [1-9]/).waitFor();
}

async function shoot(page: Page, name: string): Promise<void> {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: page.viewportSize()?.width ?? 0, height });
  await savePng(await page.screenshot(), `${DOCS}/${name}.png`);
}

export async function measure(): Promise<Measurement> {
  const stack = await startStack();
  const browser = await launchChromium();
  const proxy = await startFaultProxy(new URL((await pageConfig(stack.pageUrl)).statusUrl).origin);
  try {
    const light = await open(browser, stack.pageUrl, proxy, { colorScheme: 'light', width: 1280 });
    await bringToLife(light);
    await shoot(light, 'light-1280');
    const dark = await open(browser, stack.pageUrl, proxy, { colorScheme: 'dark', width: 390 });
    await bringToLife(dark);
    await shoot(dark, 'dark-390');
    proxy.faults = { offline: true };
    proxy.cutNow();
    await light.getByText('Connection lost').waitFor();
    await shoot(light, 'long-poll-lost');
  } finally {
    await browser.close();
    await proxy.close();
    await stack.stop();
  }
  return { result: { written: ['light-1280', 'dark-390', 'long-poll-lost'] }, withinLimit: true };
}
