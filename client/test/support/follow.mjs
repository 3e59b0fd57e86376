/**
 * Runs clients and says what they show, for tests in other languages: `node test/support/follow.mjs '[{"name": …}]'`.
 *
 * Takes `{name, baseUrl, transport}` of each client; prints a line of JSON whenever one shows something else. Ends with
 * its standard input.
 */
import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL('../../src/index.ts', import.meta.url).pathname, {
  configFile: false,
  logLevel: 'error',
});

for (const { name, ...options } of JSON.parse(process.argv[2])) {
  const client = module.createStatusClient({ ...options, onError: () => undefined });
  client.watch(() => {
    const { status, state, transport, error } = client.getSnapshot();
    const shown = { name, at: Date.now() / 1000, status, state, transport, error: error?.message ?? null };
    process.stdout.write(`${JSON.stringify(shown)}\n`);
  });
}
process.stdin.on('end', () => process.exit());
process.stdin.resume();
