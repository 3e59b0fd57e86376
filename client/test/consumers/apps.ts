/** Makes apps: copies of the folders beside this file, with the packed package installed by npm. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { type Handler, serveStatus } from '../support/http-server.js';
import { StatusService } from '../support/status-service.js';
import { run } from './processes.js';

const HERE = new URL('.', import.meta.url).pathname;
/** The README's address, which is the test server's in the app. */
const EXAMPLE = 'https://example.com';

export interface App {
  readonly folder: string;
  /** The server that this app asks. */
  readonly service: StatusService;
}

interface Making {
  /** Where the files are; default: where the app is. */
  readonly from?: string;
  /** Answers what is not the status API. */
  readonly other?: Handler;
}

/** Makes an app in `place`, whose first part is the family: all apps of a family share its package.json. */
export async function makeApp(place: string, { from = place, other }: Making = {}): Promise<App> {
  const [family = ''] = place.split('/');
  if (!installed.has(family)) installed.set(family, install(family));
  await installed.get(family);
  const service = new StatusService(systemClock);
  service.counts = { queued: 12, input: 3, output: 85 };
  const server = await serveStatus(service, 0, other);
  onTestFinished(() => server.close());
  const folder = join(inject('workshop'), place);
  await copy(join(HERE, from), folder, (text) => text.replaceAll(EXAMPLE, server.url));
  return { folder, service };
}

/** Copies text files. */
async function copy(from: string, to: string, change: (text: string) => string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || entry.name === 'package.json') continue;
    const path = join(entry.parentPath, entry.name);
    const target = join(to, path.slice(from.length));
    await mkdir(dirname(target), { recursive: true });
    await writeFile(target, change(await readFile(path, 'utf8')));
  }
}

const installed = new Map<string, Promise<void>>();

/** Installs the family's packages where they, or the package's own, have changed; the package itself each time. */
async function install(family: string): Promise<void> {
  const tarball = inject('tarball');
  const folder = join(inject('workshop'), family);
  const unpacked = join(folder, 'node_modules/blob-status-client');
  const asked = await readFile(join(HERE, family, 'package.json'), 'utf8');
  const own = await readFile(join(HERE, '../../package.json'), 'utf8');
  const stamp = createHash('sha256').update(asked).update(own).digest('hex');
  const stampFile = join(folder, 'node_modules/.stamp');
  if ((await readFile(stampFile, 'utf8').catch(() => null)) !== stamp) {
    const manifest = JSON.parse(asked) as { dependencies: Record<string, string> };
    manifest.dependencies['blob-status-client'] = `file:${tarball}`;
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'package.json'), JSON.stringify(manifest, null, 2));
    await copy(join(HERE, family), folder, (text) => text); // its .npmrc
    await rm(join(folder, 'package-lock.json'), { force: true }); // has the checksum of another tarball
    await run(['npm', 'install', '--prefer-offline', '--silent'], folder);
    await writeFile(stampFile, stamp);
  }
  await rm(unpacked, { recursive: true, force: true });
  await mkdir(unpacked);
  await run(['tar', '-xzf', tarball, '-C', unpacked, '--strip-components=1'], folder);
}
