import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { describe, expect, it } from 'vitest';

/** What the client was in its first form. */
const FIRST_FORM = 6 * 1024;
/** What was worth more than 100 bytes since. */
const ADDED = {
  'a false "offline" is found out': 150,
  'streams that do not last become a long poll; no stream where fetch cannot': 210,
  'gateways that cut held requests are learnt': 310,
  'no refusal is for ever: whose answer it is, and the same token again every few minutes': 250,
  'whatever a callback of the app does, the connection lives; getToken and baseUrl have a time limit': 220,
};
const LIMIT = Object.values(ADDED).reduce((sum, bytes) => sum + bytes, FIRST_FORM);

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
  it('everything of the main entry: client, all transports, drop-in, adapters', async () => {
    const bytes = await bundledBytes('index.ts');
    expect(bytes).toBeLessThanOrEqual(LIMIT);
    expect(bytes).toBeGreaterThan(FIRST_FORM / 2);
  });
});
