/** The README's moving picture: images on their way through the real page, with its backend in memory. */
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build, preview } from 'vite';
import { launchChromium } from '../test/support/browser.js';
import { type Frame, saveGif } from '../test/support/pictures.js';
import type { Measurement } from './measurement.js';

const FILE = fileURLToPath(new URL('../docs/live.gif', import.meta.url));
const DEMO = fileURLToPath(new URL('../demo', import.meta.url));
const CONFIG = `${DEMO}/vite.config.ts`;
const SIZE = { width: 1000, height: 600 };
const SHOWN_WIDTH = 760;
/** Frames that are replaced sooner are left out. */
const SHORTEST_MS = 60;
const LAST_MS = 2_500;
const LIMIT_BYTES = 600_000;

/** What Chromium paints until `play` is over, and for how long each frame is seen. */
async function record(page: Page, play: Promise<void>): Promise<Frame[]> {
  const painted: { screenshot: Buffer; atMs: number }[] = [];
  const session = await page.context().newCDPSession(page);
  session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
    painted.push({ screenshot: Buffer.from(data, 'base64'), atMs: (metadata.timestamp ?? 0) * 1000 });
    void session.send('Page.screencastFrameAck', { sessionId });
  });
  await session.send('Page.startScreencast', { format: 'png' });
  await play;
  await session.send('Page.stopScreencast');
  const kept = painted.filter(({ atMs }, i) => (painted[i + 1]?.atMs ?? Infinity) - atMs >= SHORTEST_MS);
  return kept.map(({ screenshot, atMs }, i) => ({
    screenshot,
    durationMs: kept[i + 1] ? (kept[i + 1]?.atMs ?? 0) - atMs : LAST_MS,
  }));
}

async function play(page: Page): Promise<void> {
  const pause = (ms: number): Promise<void> => page.waitForTimeout(ms);
  await pause(800);
  await page.getByRole('button', { name: /samples/ }).click();
  await page.getByLabel('Queued: 5').waitFor();
  await pause(700);
  await page.getByRole('button', { name: /Run the pipeline/ }).click();
  await page.getByLabel('Completed: 5').waitFor();
  await pause(300);
}

export async function measure(): Promise<Measurement> {
  await build({ configFile: CONFIG, root: DEMO, logLevel: 'error' });
  const server = await preview({
    configFile: CONFIG,
    root: DEMO,
    logLevel: 'silent',
    preview: { port: 0, host: '127.0.0.1' },
  });
  const browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
    await page.goto(`${server.resolvedUrls?.local[0]}?transport=sse`);
    await page.getByText('Live Updates').waitFor();
    const frames = await record(page, play(page));
    const bytes = await saveGif(frames, SHOWN_WIDTH, FILE);
    return { result: { frames: frames.length, bytes }, withinLimit: bytes <= LIMIT_BYTES };
  } finally {
    await browser.close();
    await server.close();
  }
}
