/** Contact sheets of the legend for the README and for whoever changes it: `docs/legend-*.png`. */
import { fileURLToPath } from 'node:url';
import { launchChromium } from '../test/support/browser.js';
import { buildGallery } from '../test/support/gallery.js';
import { savePng } from '../test/support/pictures.js';
import type { Measurement } from './measurement.js';

const DOCS = fileURLToPath(new URL('../docs', import.meta.url));
/** Until sizes are measured and applied. */
const SETTLED_MS = 1_000;

export async function measure(): Promise<Measurement> {
  const gallery = await buildGallery();
  const browser = await launchChromium();
  const written: string[] = [];
  try {
    for (const theme of ['light', 'dark'])
      for (const locale of ['en', 'id'])
        for (const [name, widths, viewport] of [
          ['phone', '320,390', 750],
          ['desktop', '1280', 1296],
        ] as const)
          for (const text of [1, 2]) {
            const page = await browser.newPage({ viewport: { width: viewport, height: 900 } });
            await gallery.open(page, { theme, locale, widths, text: String(text) });
            await page.waitForTimeout(SETTLED_MS);
            const file = `legend-${name}-${theme}-${locale}-${text}00.png`;
            await savePng(await page.screenshot({ fullPage: true }), `${DOCS}/${file}`);
            written.push(file);
            await page.close();
          }
  } finally {
    await browser.close();
    await gallery.remove();
  }
  return { result: { written }, withinLimit: true };
}
