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
  /** What the page says while it is live. */
  readonly live?: string;
  readonly locale?: string;
  /** The case that is followed. Without one the app seems to count none. */
  readonly caseId?: string;
}

/** By the names of their pictures. */
const CASES: Readonly<Record<string, Look & { caseId: string }>> = {
  'case-light-1280': { colorScheme: 'light', width: 1280, caseId: '2026-117' },
  'case-dark-1280': { colorScheme: 'dark', width: 1280, caseId: '2026-118' },
  'case-id-1280': { colorScheme: 'light', width: 1280, caseId: '2026-119', locale: 'id', live: 'Pembaruan Langsung' },
};

async function open(browser: Browser, pageUrl: string, proxy: FaultProxy, look: Look): Promise<Page> {
  const { live = 'Live Updates', locale = 'en', caseId } = look;
  const page = await browser.newPage({
    colorScheme: look.colorScheme,
    locale,
    viewport: { width: look.width, height: 800 },
    deviceScaleFactor: look.width < 500 ? 2 : 1,
  });
  const config = await pageConfig(pageUrl);
  const statusUrl = proxy.url + new URL(config.statusUrl).pathname;
  await page.route('**/config.json', (route) =>
    route.fulfill({ json: { ...config, statusUrl, cases: caseId !== undefined } }),
  );
  await page.goto(`${pageUrl}?transport=long-poll`);
  await page.getByText(live).waitFor();
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

/** A case of which some images are done, and of which the page can say how long the others may take. */
async function followCase(page: Page, name: string): Promise<void> {
  const form = page.locator('form');
  await form.getByRole('textbox').fill(name);
  await form.getByRole('button').click();
  await page.getByTestId('case-legend').getByLabel(/: 0$/).first().waitFor();
  await page.getByRole('button', { name: /40/ }).click();
  await page.getByTestId('case-legend').getByLabel(/: 40$/).first().waitFor();
  await page.getByRole('button', { name: /pipeline/ }).click();
  await page.locator('[role="progressbar"][aria-valuetext*=","]').waitFor();
}

async function shoot(page: Page, name: string): Promise<void> {
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: page.viewportSize()?.width ?? 0, height });
  await savePng(await page.screenshot(), `${DOCS}/${name}.png`);
}

export async function measure(): Promise<Measurement> {
  const stack = await startStack({ CASE_FROM: 'first-segment' });
  const browser = await launchChromium();
  const proxy = await startFaultProxy(new URL((await pageConfig(stack.pageUrl)).statusUrl).origin);
  try {
    const light = await open(browser, stack.pageUrl, proxy, { colorScheme: 'light', width: 1280 });
    await bringToLife(light);
    await shoot(light, 'light-1280');
    const dark = await open(browser, stack.pageUrl, proxy, { colorScheme: 'dark', width: 390 });
    await bringToLife(dark);
    await shoot(dark, 'dark-390');
    for (const [name, look] of Object.entries(CASES)) {
      const page = await open(browser, stack.pageUrl, proxy, look);
      await followCase(page, look.caseId);
      await shoot(page, name);
    }
    proxy.faults = { offline: true };
    proxy.cutNow();
    await light.getByText('Connection lost').waitFor();
    await shoot(light, 'long-poll-lost');
  } finally {
    await browser.close();
    await proxy.close();
    await stack.stop();
  }
  return {
    result: { written: ['light-1280', 'dark-390', 'long-poll-lost', ...Object.keys(CASES)] },
    withinLimit: true,
  };
}
