import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { build } from 'vite';

export interface Gallery {
  /** Shows in `page` what the query asks for; see `test/gallery/main.tsx`. */
  open(page: Page, query: Readonly<Record<string, string>>): Promise<void>;
  remove(): Promise<void>;
}

const ORIGIN = 'http://gallery.test';

/** Builds the gallery. Pages get it without a server. */
export async function buildGallery(): Promise<Gallery> {
  const outDir = await mkdtemp(join(tmpdir(), 'gallery-'));
  await build({
    configFile: fileURLToPath(new URL('../../demo/vite.config.ts', import.meta.url)),
    root: fileURLToPath(new URL('../gallery', import.meta.url)),
    logLevel: 'error',
    build: { outDir },
  });
  return {
    async open(page, query) {
      await page.route(`${ORIGIN}/**`, (route) => {
        const { pathname } = new URL(route.request().url());
        return route.fulfill({ path: join(outDir, pathname === '/' ? 'index.html' : pathname) });
      });
      await page.goto(`${ORIGIN}/?${new URLSearchParams(query)}`);
      await page.getByTestId('legend').first().waitFor();
    },
    remove: () => rm(outDir, { recursive: true }),
  };
}
