/** The real stack (Azurite, event bridge, functions host, page) as a child process, on free ports and new data. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type DemoConfig, parseConfig } from '../../demo/src/config.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PYTHON = join(ROOT, '.venv', 'bin', 'python');
const READY_MS = 120_000;
const GRACE_MS = 30_000;
const KEPT_LINES = 40;

export interface RunningStack {
  readonly pageUrl: string;
  /** Ends all of it and removes its data. */
  stop(): Promise<void>;
}

/** The configuration of the page that is served at `pageUrl`: where the API and the storage are. */
export async function pageConfig(pageUrl: string): Promise<DemoConfig> {
  const response = await fetch(new URL('config.json', pageUrl));
  return parseConfig(await response.json());
}

/** Starts it, with these settings of the app; resolves when an upload would be counted. */
export async function startStack(settings: Readonly<Record<string, string>> = {}): Promise<RunningStack> {
  if (!existsSync(PYTHON)) throw new Error('No .venv: run `make setup` first.');
  const data = await mkdtemp(join(tmpdir(), 'blob-status-'));
  const args = ['-m', 'localdev.up', '--free-ports', '--data', data];
  const env = { ...process.env, ...settings };
  const child = spawn(PYTHON, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit');
  const lines: string[] = [];

  async function stop(): Promise<void> {
    const late = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await ended;
    clearTimeout(late);
    await rm(data, { recursive: true, force: true });
  }

  const pageUrl = new Promise<string>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`The stack ${why}:\n${lines.join('\n')}`));
    setTimeout(() => fail('did not get ready'), READY_MS).unref();
    const hear = (line: string): void => {
      lines.splice(0, Math.max(lines.length - KEPT_LINES, 0));
      lines.push(line);
      const page = /^ {2}page +(\S+)$/.exec(line)?.[1];
      if (page) resolve(page);
      if (line.includes('curl -N')) fail('serves no page; see `make setup`');
    };
    createInterface(child.stdout).on('line', hear);
    createInterface(child.stderr).on('line', hear);
    child.on('exit', () => fail('ended'));
    child.on('error', reject);
  });
  try {
    return { pageUrl: await pageUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
