/** Makes the tarball that all apps install. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { run } from './processes.js';

const CLIENT = new URL('../..', import.meta.url).pathname;

declare module 'vitest' {
  interface ProvidedContext {
    tarball: string;
    /** Outside of the package, so that nothing resolves to what it is developed with. Kept between runs. */
    workshop: string;
  }
}

export default async function pack({ provide }: TestProject): Promise<void> {
  const workshop = join(CLIENT, '../.local/consumers');
  await mkdir(workshop, { recursive: true });
  const output = await run(['npm', 'pack', '--silent', '--pack-destination', workshop], CLIENT);
  provide('workshop', workshop);
  provide('tarball', join(workshop, output.trim().split('\n').at(-1) ?? ''));
}
