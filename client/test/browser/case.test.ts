/**
 * A case on the built page in a real Chromium: started, uploaded into, followed beside everybody's.
 *
 * By default on the in-memory backend; with `DEMO_URL` on the stack whose page that is (`npm run test:stack`).
 */
import type { Browser, Locator, Page } from 'playwright-core';
import { type PreviewServer, preview } from 'vite';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { DemoConfig } from '../../demo/src/config.js';
import { createStorage } from '../../demo/src/storage.js';
import { audit, launchChromium } from '../support/browser.js';
import { pageConfig } from '../support/stack.js';

const { DEMO_URL } = process.env;
const PATIENCE_MS = 20_000;
const IMAGES = 40;
/** By what the page's clock is put on at each look, where the rest of the pipeline need not take its time. */
const STEP_MS = 400;
const root = new URL('../../demo', import.meta.url).pathname;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 8)}`;

let pageUrl: string;
let server: PreviewServer | null = null;
let browser: Browser;
let config: DemoConfig;
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

afterEach(async () => {
  await page.close();
});

interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly width?: number;
  readonly cases?: boolean;
}

/** The backend in memory counts cases anyway; a stack has to be started so. */
async function open({ colorScheme = 'light', width = 1280, cases = config.cases || !DEMO_URL }: Look = {}) {
  const viewport = { width, height: 860 };
  page = await browser.newPage({ viewport, colorScheme, reducedMotion: 'reduce' });
  await page.route('**/config.json', (route) => route.fulfill({ json: { ...config, cases } }));
  await page.clock.install();
  await page.goto(pageUrl);
  await page.getByTestId('legend').getByText('Live Updates').waitFor();
}

async function start(name: string): Promise<Locator> {
  await page.getByLabel('Name of the case').fill(name);
  await page.getByRole('button', { name: 'Start' }).click();
  const legend = page.getByTestId('case-legend');
  await legend.getByText('Live Updates').waitFor();
  return legend;
}

/** Queued, processing, completed, as a legend has them. */
const countsOf = (legend: Locator): Promise<number[]> =>
  Promise.all(
    ['Queued', 'Processing', 'Completed'].map(async (label) => {
      const said = await legend.getByLabel(new RegExp(`^${label}: `)).getAttribute('aria-label');
      return Number(said?.split(': ')[1]);
    }),
  );

it('goes from 0 to 40 of 40, with a bar and an estimate, whatever is uploaded into another', async ({ skip }) => {
  skip(Boolean(DEMO_URL) && !config.cases, 'this stack does not count cases');
  await open();
  const everybody = page.getByTestId('legend');
  const [queuedBefore = 0, , completedBefore = 0] = await countsOf(everybody);
  const mine = await start(unique('mine'));
  expect(await countsOf(mine)).toEqual([0, 0, 0]);
  const bar = mine.getByRole('progressbar');
  expect(await bar.count()).toBe(0);

  const storage = createStorage(config);
  const other = unique('other');
  const theirs = [1, 2, 3].map((number) => `${other}/${number}.png`);
  for (const name of theirs) await storage.put('queued', name, new Blob(['png'], { type: 'image/png' }));
  await expect
    .poll(() => countsOf(everybody), { timeout: PATIENCE_MS })
    .toEqual([queuedBefore + 3, 0, completedBefore]);
  expect(await countsOf(mine)).toEqual([0, 0, 0]);

  await page.getByRole('button', { name: `Add ${IMAGES} samples` }).click();
  await mine.getByText(`0 of ${IMAGES} done`).waitFor();
  await expect.poll(() => countsOf(mine), { timeout: PATIENCE_MS }).toEqual([IMAGES, 0, 0]);
  await page.getByRole('button', { name: `Run the pipeline · ${IMAGES}` }).click();
  const said = (): Promise<string | null> => bar.getAttribute('aria-valuetext');
  const estimate = /^(\d+) of 40 done, .*left$/;
  await expect.poll(said, { timeout: PATIENCE_MS * 2 }).toMatch(estimate);
  expect(Number(estimate.exec((await said()) ?? '')?.[1])).toBeGreaterThanOrEqual(8);
  const later = (read: () => Promise<unknown>) =>
    expect.poll(() => page.clock.fastForward(STEP_MS).then(read), { timeout: PATIENCE_MS * 2 });
  await later(said).toBe('40 of 40 done');
  await later(() => countsOf(mine)).toEqual([0, 0, IMAGES]);
  await later(() => countsOf(everybody)).toEqual([queuedBefore + 3, 0, completedBefore + IMAGES]);

  await page.getByRole('button', { name: 'Delete' }).click();
  await expect.poll(() => countsOf(mine), { timeout: PATIENCE_MS }).toEqual([0, 0, 0]);
  expect(await bar.count()).toBe(0);
  for (const name of theirs) await storage.remove('queued', name);
  await expect.poll(() => countsOf(everybody), { timeout: PATIENCE_MS }).toEqual([queuedBefore, 0, completedBefore]);
  expect(await page.getByRole('alert').count()).toBe(0);
});

it('is followed after a reload, until another is started', async ({ skip }) => {
  skip(Boolean(DEMO_URL) && !config.cases, 'this stack does not count cases');
  await open();
  const name = unique('mine');
  await start(name);
  await page.reload();
  await page.getByRole('heading', { name: `Your case: ${name}` }).waitFor();
  await page.getByText(`${config.containers.queued}/${name}/`).waitFor();
  await page.getByRole('button', { name: 'Another case' }).click();
  expect(await page.getByTestId('case-legend').count()).toBe(0);
  expect(await page.getByLabel('Name of the case').inputValue()).toMatch(/^case-\w+$/);
});

it('has a name that every path can carry', async () => {
  await open({ cases: true });
  const name = page.getByLabel('Name of the case');
  for (const wrong of ['', '..', 'a/b', 'a b']) {
    await name.fill(wrong);
    await page.getByRole('button', { name: 'Start' }).click();
    expect(await name.evaluate((input) => input.matches(':invalid'))).toBe(true);
    expect(await page.getByTestId('case-legend').count()).toBe(0);
  }
  await start('Kasus_4711-é');
});

it('where the app does not count cases there is none to start, nor one from before', async () => {
  await open({ cases: true });
  await start(unique('mine'));
  await page.route('**/config.json', (route) => route.fulfill({ json: { ...config, cases: false } }));
  await page.reload();
  await page.getByRole('button', { name: 'Add 5 samples' }).waitFor();
  expect(await page.getByLabel('Name of the case').count()).toBe(0);
  expect(await page.getByTestId('case-legend').count()).toBe(0);
});

it('speaks Indonesian when asked to', async ({ skip }) => {
  skip(Boolean(DEMO_URL) && !config.cases, 'this stack does not count cases');
  await open();
  await page.getByRole('button', { name: 'Bahasa Indonesia' }).click();
  const english = /\b(the|case|start|your|everybody|uploads?|another|letters)\b/i;
  const texts = () => page.locator('body').innerText();
  expect((await texts()).match(english)).toBeNull();
  await page.getByLabel('Nama kasus').fill('satu');
  await page.getByRole('button', { name: 'Mulai' }).click();
  await page.getByRole('heading', { name: 'Kasus Anda: satu' }).waitFor();
  expect((await texts()).match(english)).toBeNull();
  await page.getByRole('button', { name: 'Kasus lain' }).click();
  await page.getByLabel('Nama kasus').waitFor();
});

it.each([
  ['light', 1280],
  ['dark', 390],
] as const)('axe finds nothing, and all of it fits, %s at %i px', async (colorScheme, width) => {
  await open({ colorScheme, width, cases: true });
  expect(await audit(page)).toEqual([]);
  await start('a-name-that-is-as-long-as-a-name-may-be-x');
  expect(await audit(page)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0);
});
