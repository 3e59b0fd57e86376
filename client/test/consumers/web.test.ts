/** Apps on the web and in Node: each installs the packed package, builds, and shows the number. */
import type { Browser, Page } from 'playwright-core';
import { preview } from 'vite';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/browser.js';
import { type App, makeApp } from './apps.js';
import { type Command, run, type Served, serve } from './processes.js';

const PATIENCE_MS = 20_000;

let browser: Promise<Browser> | undefined;
afterAll(async () => (await browser)?.close());

function start(command: Command, app: App): Served {
  const served = serve(command, app.folder);
  onTestFinished(() => served.close());
  return served;
}

/** Opens the page in Chromium. What its console says, and errors, are in `messages`. */
async function open(
  url: string,
): Promise<{ page: Page; messages: string[]; text: (selector: string) => () => Promise<string> }> {
  const page = await (await (browser ??= launchChromium())).newPage();
  onTestFinished(() => page.close());
  const messages: string[] = [];
  page.on('console', (message) => messages.push(message.text()));
  page.on('pageerror', (error) => messages.push(String(error)));
  await page.goto(url, { waitUntil: 'commit' });
  return { page, messages, text: (selector) => () => page.locator(selector).innerText() };
}

/** It shows the number, and the next one as soon as it changes, without a message. */
async function isLive(app: App, url: string, views: number): Promise<void> {
  const { messages, text } = await open(url);
  const shown = async (): Promise<string[]> => (await text('body')()).match(/\b1[23]\b/g) ?? [];
  await expect.poll(shown, { timeout: PATIENCE_MS }).toEqual(Array(views).fill('12'));
  app.service.set({ queued: 13 });
  await expect.poll(shown, { timeout: PATIENCE_MS }).toEqual(Array(views).fill('13'));
  expect(messages).toEqual([]);
}

it.each([
  ['web/vite', 2],
  ['react-18/vite', 2],
  ['web/svelte', 1],
  ['web/vue', 1],
] as const)('%s', async (place, views) => {
  const app = await makeApp(place, { from: place.replace('react-18', 'web') });
  await run(['vite', 'build', '--logLevel', 'warn'], app.folder);
  const server = await preview({ root: app.folder, logLevel: 'silent', preview: { port: 0, host: '127.0.0.1' } });
  onTestFinished(() => server.close());
  await isLive(app, server.resolvedUrls?.local[0] ?? '', views);
});

describe('Next', () => {
  const bundlers = process.env.CONSUMERS === 'all' ? ['turbopack', 'webpack'] : ['turbopack'];

  it.each(bundlers)(
    'by %s: rendered on the server, live before the last part has come, hydrated without an error',
    async (bundler) => {
      let goOn: () => void = () => undefined;
      const isTime = new Promise<void>((resolve) => (goOn = resolve));
      const app = await makeApp(`web/next-${bundler}`, {
        from: 'web/next',
        other: async ({ url }, response) => {
          if (url !== '/late') return false;
          await isTime;
          response.end();
          return true;
        },
      });
      onTestFinished(goOn);
      await run(['next', 'build', `--${bundler}`], app.folder);
      const served = start(['next', 'start', '--hostname', '127.0.0.1', '--port', '0'], app);
      const [url] = await served.wrote(/http:\/\/127\.0\.0\.1:\d+/);
      const { messages, text } = await open(url);
      await expect.poll(text('main'), { timeout: PATIENCE_MS }).toMatch(/Completed\s+85/);
      await expect.poll(text('#early'), { timeout: PATIENCE_MS }).toContain('"queued":12,"state":"live"');
      goOn();
      await expect.poll(text('#late'), { timeout: PATIENCE_MS }).toContain('"queued":12,"state":"live"');
      expect(messages).toEqual([]);
      expect(await (await fetch(url)).text()).toContain('Connecting…');
    },
  );
});

describe('Node', () => {
  it.each(['import.mjs', 'require.cjs'])('%s', async (file) => {
    const app = await makeApp('web/node');
    const served = start(['node', file], app);
    await served.wrote(/^12 3 85 /m);
    app.service.set({ queued: 13 });
    await served.wrote(/^13 3 85 /m);
  });

  it('sends the function key', async () => {
    const keys = new Set<unknown>();
    const app = await makeApp('web/node', {
      other: ({ headers }) => {
        keys.add(headers['x-functions-key']);
        return false;
      },
    });
    const served = start(['node', 'key.mjs'], app);
    await Promise.all([served.wrote(/^client 12$/m), served.wrote(/^drop-in 12$/m)]);
    expect([...keys]).toEqual(['of this kind of app']);
  });

  it('follows one case by its own client, and by the drop-in', async () => {
    const app = await makeApp('web/node');
    const one = app.service.caseOf('2026/117');
    const served = start(['node', 'case.mjs'], app);
    await Promise.all([served.wrote(/^0 0$/m), served.wrote(/^0$/m)]);
    one.set({ queued: 7 });
    await Promise.all([served.wrote(/^7 0$/m), served.wrote(/^7$/m)]);
  });

  it('signs in, and forgets the numbers when it signs out', async () => {
    const app = await makeApp('web/node');
    app.service.token = 'secret';
    await start(['node', 'account.mjs'], app).wrote(/^live 12\n(.*\n)*stopped unknown$/m);
  });
});

it('Jest, CommonJS without a transform', async () => {
  const { folder } = await makeApp('web/jest');
  await run(['jest'], folder);
});

it.each([
  ['node16, from CommonJS and ESM', ['--module', 'node16', 'common.cts', 'esm.mts']],
  ['bundler', ['--module', 'preserve', '--lib', 'es2022,dom', '--jsx', 'react-jsx', 'app.tsx']],
  ['node10', ['--module', 'commonjs', '--moduleResolution', 'node10', '--jsx', 'react-jsx', 'app.tsx']],
])('TypeScript by %s, without the types of react-native, and checked to the last library', async (_, how) => {
  const { folder } = await makeApp('web/types');
  await run(['tsc', '--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', ...how], folder);
});
