import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { describe, expect, it } from 'vitest';

const KB = 1024;
const source = (file: string): string => new URL(`../../src/${file}`, import.meta.url).pathname;

async function bundledBytes(file: string): Promise<number> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      lib: { entry: source(file), formats: ['iife'], name: 'blobStatus' },
    },
  });
  const outputs = [result].flat().flatMap((bundle) => ('output' in bundle ? bundle.output : []));
  const code = outputs.map((chunk) => ('code' in chunk ? chunk.code : '')).join('');
  expect(code).toContain('status_update');
  return gzipSync(code, { level: 9 }).length;
}

describe('minified and gzipped, with the one dependency', () => {
  it('the core (client, all transports, browser signals) is at most 6 KB', async () => {
    const bytes = await bundledBytes('client.ts');
    expect(bytes).toBeLessThanOrEqual(6 * KB);
    expect(bytes).toBeGreaterThan(3 * KB);
  });

  it('everything of the main entry, the drop-in included, is at most 6.5 KB', async () => {
    expect(await bundledBytes('index.ts')).toBeLessThanOrEqual(6.5 * KB);
  });
});
