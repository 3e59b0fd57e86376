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
