/** Apps on React Native: each installs the packed package, bundles, and shows the number. */
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type App, makeApp } from './apps.js';
import { run } from './processes.js';

const SEED = new URL('../seed', import.meta.url).pathname;

/** With the existing app's own files, where it has them. */
async function makeExpoApp(): Promise<App> {
  const app = await makeApp('expo');
  await cp(join(SEED, 'services'), join(app.folder, 'services'), { recursive: true });
  await cp(join(SEED, 'snippets/component.js'), join(app.folder, 'components/RealtimeStorageStatus.js'));
  return app;
}

it('jest-expo shows the number', async () => {
  const { folder } = await makeExpoApp();
  await run(['jest'], folder);
});

it('Expo bundles for Android and iOS', async () => {
  const { folder } = await makeExpoApp();
  await run(['expo', 'export', '--platform', 'android', '--platform', 'ios', '--no-bytecode', '--no-minify'], folder);
});

it('React Native 0.74 bundles, with a Metro that reads no package exports', async () => {
  const { folder } = await makeApp('react-native-0.74');
  const plainly = ['--platform', 'android', '--dev', 'false', '--minify', 'false', '--out', 'bundle'];
  await run(['metro', 'build', 'index.js', ...plainly], folder);
  expect(await readFile(join(folder, 'bundle.js'), 'utf8')).toContain('status_update');
});
