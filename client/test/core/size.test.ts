import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { describe, expect, it } from 'vitest';

const KB = 1024;
const source = (file: string): string => new URL(`../../src/${file}`, import.meta.url).pathname;

/** As an app bundles it: an ES module. */
async function bundledBytes(file: string): Promise<number> {
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      target: 'es2022',
      rolldownOptions: { input: source(file), preserveEntrySignatures: 'strict' },
    },
  });
  const outputs = [result].flat().flatMap((bundle) => ('output' in bundle ? bundle.output : []));
  const code = outputs.map((chunk) => ('code' in chunk ? chunk.code : '')).join('');
  expect(code).toContain('status_update');
  return gzipSync(code, { level: 9 }).length;
}

describe('minified and gzipped, with the one dependency', () => {
  it('everything of the main entry is at most 6 KB: client, all transports, drop-in, adapters', async () => {
    const bytes = await bundledBytes('index.ts');
    expect(bytes).toBeLessThanOrEqual(6 * KB);
    expect(bytes).toBeGreaterThan(3 * KB);
  });
});
