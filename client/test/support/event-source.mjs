/**
 * The browser's own EventSource on a page of another origin, for tests in other languages:
 * `node test/support/event-source.mjs PORT URL`.
 *
 * Serves the page on that port. Takes lines `open NAME` and `close NAME`; prints a line of JSON for each event of each
 * source, once the page is there a first one. Ends with its standard input.
 */
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { runnerImport } from 'vite';

const { module } = await runnerImport(new URL('browser.ts', import.meta.url).pathname, {
  configFile: false,
  logLevel: 'error',
});
const [port, url] = process.argv.slice(2);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const server = createServer((_, response) =>
  response.setHeader('Content-Type', 'text/html').end('<title>page</title>'),
);
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
const browser = await module.launchChromium();
const page = await browser.newPage();
await page.exposeFunction('say', say);
await page.goto(`http://127.0.0.1:${port}/`);
await page.evaluate(() => (window.sources = {}));
say({ name: '', kind: 'ready' });

const commands = {
  open: (name) =>
    page.evaluate(
      ([name, url]) => {
        const source = (window.sources[name] = new EventSource(url));
        for (const kind of ['open', 'error', 'status_update', 'unavailable', 'message']) {
          source.addEventListener(kind, (event) =>
            window.say({ name, kind, state: source.readyState, id: event.lastEventId, data: event.data }),
          );
        }
      },
      [name, url],
    ),
  close: (name) => page.evaluate((name) => window.sources[name].close(), name),
};
for await (const line of createInterface(process.stdin)) {
  const [command, name] = line.split(' ');
  await commands[command](name);
}
await browser.close();
server.close();
