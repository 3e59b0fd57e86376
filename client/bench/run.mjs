/** Runs one of the measurements beside this file: `node bench/run.mjs page-latency`. Prints its JSON. */
import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL(`${process.argv[2]}.ts`, import.meta.url).pathname, {
  configFile: false,
  logLevel: 'error',
});
const { result, withinLimit } = await module.measure();
console.log(JSON.stringify(result, null, 2));
process.exitCode = withinLimit ? 0 : 1;
