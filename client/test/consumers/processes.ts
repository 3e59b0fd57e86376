/** Commands of the apps: run to their end, or served until the app is closed. None of them reports home. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

const QUIET = { CI: '1', NO_COLOR: '1', NEXT_TELEMETRY_DISABLED: '1', EXPO_NO_TELEMETRY: '1', EXPO_OFFLINE: '1' };

export type Command = readonly [program: string, ...args: string[]];

interface Started {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly output: () => string;
}

function start([program, ...args]: Command, cwd: string): Started {
  // The tests' own mode must not make development builds of the apps.
  const { NODE_ENV: _, VITEST: __, ...environ } = process.env;
  const env = { ...environ, ...QUIET, PATH: `${cwd}/node_modules/.bin:${cwd}/../node_modules/.bin:${environ.PATH}` };
  // In a group of its own, to be ended with whatever it starts.
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let written = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => (written += chunk));
  }
  return { child, output: () => written };
}

/** Runs a command to its end and returns what it wrote; throws that when it fails. */
export async function run(command: Command, cwd: string): Promise<string> {
  const { child, output } = start(command, cwd);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${output()}`);
  return output();
}

export interface Served {
  /** Resolves when it has written this; rejects when it ends before. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
  close(): Promise<void>;
}

/** Starts a command that goes on. */
export function serve(command: Command, cwd: string): Served {
  const { child, output } = start(command, cwd);
  const ended = once(child, 'close');
  return {
    wrote: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(output());
          if (found) resolve(found);
        };
        child.stdout?.on('data', look);
        child.stderr?.on('data', look);
        look();
        void ended.then(() => {
          look();
          reject(new Error(`${command.join(' ')} ended:\n${output()}`));
        });
      }),
    async close() {
      if (child.exitCode === null && child.signalCode === null) process.kill(-Number(child.pid), 'SIGTERM');
      await ended;
    },
  };
}
