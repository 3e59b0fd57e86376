import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { bundle } from '../support/bundle.js';

/** What the client was in its first form. */
const FIRST_FORM = 6 * 1024;
/** What was worth more than 100 bytes since. */
const ADDED = {
  'nonsense is refused by its option, and no joined address leads to another host': 460,
  'headers, which may replace nothing; sign-out, also while a request is held; reset(); Retry-After by the answer’s Date': 500,
  'the drop-in’s results are as the app’s own: a promise that is a function, lastETag as a field, resetStorageStatus()': 270,
  'windows of an origin share four held connections; no preflights that can be spared': 190,
  'a false "offline" is found out': 150,
  'streams that do not last become a long poll; no stream where fetch cannot': 210,
  'gateways that cut held requests are learnt': 310,
  'no refusal is for ever: whose answer it is, and the same token again every few minutes': 250,
  'how old the last answer is, and what is worth less': 60,
  'whatever a callback of the app does, the connection lives; getToken and baseUrl have a time limit': 220,
  'the counts of further folders, in the status and in the poller’s data': 130,
  'the counts of one case, with a connection of its own; what is no id is refused with the way out': 390,
  'a client and its cases are one account; whoever resets in a callback is heard; numbers that a token may not see go': 190,
  'a gap follows who comes and goes; an answer of this API proves a network': 150,
};
const LIMIT = Object.values(ADDED).reduce((sum, bytes) => sum + bytes, FIRST_FORM);

describe('minified and gzipped, with the one dependency', () => {
  it('everything of the main entry: client, all transports, drop-in, adapters', async () => {
    const code = await bundle('index.ts');
    expect(code).toContain('status_update');
    const bytes = gzipSync(code, { level: 9 }).length;
    expect(bytes).toBeLessThanOrEqual(LIMIT);
    expect(bytes).toBeGreaterThan(FIRST_FORM / 2);
  });

  it.each(['README.md', 'README.id.md'])('%s says so, in 1,000 bytes', (file) => {
    const readme = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
    const [, said = ''] = /(?:under|kurang dari) (\d+[.,]\d) KB/.exec(readme) ?? [];
    expect(Math.ceil(LIMIT / 100) / 10).toBe(Number(said.replace(',', '.')));
  });
});
