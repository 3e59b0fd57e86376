/**
 * Vitest's global setup: `DEMO_URL` is the page of a stack that lives as long as the run, and counts cases, unless it
 * was given.
 */
import { startStack } from './stack.js';

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.DEMO_URL) return undefined;
  const stack = await startStack({ CASE_FROM: 'first-segment' });
  process.env.DEMO_URL = stack.pageUrl;
  return stack.stop;
}
