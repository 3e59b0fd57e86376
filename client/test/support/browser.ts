import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A real Chromium: `CHROMIUM_PATH`, or where Debian has it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium', args: FLAGS });
}

const PNG = { name: 'pixel.png', mimeType: 'image/png', buffer: Buffer.from('89504e470d0a1a0a', 'hex') };

/** Chooses an image in the page, as a person does. */
export const upload = (page: Page): Promise<void> => page.getByTestId('file-input').setInputFiles(PNG);

/** Milliseconds from the choice of a file to the next number of queued images, taken inside the page. */
export function measureUpload(page: Page): Promise<number> {
  const measured = page.evaluate(() => {
    const node = document.querySelector('[aria-label^="Queued: "]') as Element;
    return new Promise<number>((resolve) => {
      let startedAt = 0;
      document.addEventListener('change', () => (startedAt = performance.now()), { capture: true, once: true });
      const observer = new MutationObserver(() => {
        observer.disconnect();
        resolve(performance.now() - startedAt);
      });
      observer.observe(node, { attributes: true, attributeFilter: ['aria-label'] });
    });
  });
  return upload(page).then(() => measured);
}

interface WithAxe {
  readonly axe?: { run(context: string | Document): Promise<AxeResults> };
}

/**
 * What axe is sure of in the page, or the part that a selector names, and what of it is serious and would have to be
 * looked at by a person.
 */
export async function audit(page: Page, part?: string): Promise<string[]> {
  const isThere = await page.evaluate(() => (globalThis as WithAxe).axe !== undefined);
  if (!isThere) await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') });
  const results = await page.evaluate((selector) => (globalThis as WithAxe).axe?.run(selector ?? document), part);
  if (!results) throw new Error('axe did not run.');
  const serious = results.incomplete.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return [...results.violations, ...serious].map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join('\n')}`,
  );
}
