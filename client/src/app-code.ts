/** The app's own code, called so that nothing it does ends the connection. */
import { StatusError, type StatusErrorCode } from './errors.js';
import type { Awaitable } from './types.js';

/** Tells the app something. What `run` throws, at once or later as a promise, goes to `report`. */
export function guard<T>(run: () => T, report: (thrown: unknown) => void): T | undefined {
  try {
    const result = run();
    Promise.resolve(result).catch(report);
    return result;
  } catch (thrown) {
    report(thrown);
    return undefined;
  }
}

/** Asks the app something. What `run` throws, at once or later as a promise, becomes a StatusError. */
export async function ask<T>(run: () => Awaitable<T>, code: StatusErrorCode, name: string): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new StatusError(code, `${name} failed.`, cause);
  }
}

/** The last resort, for what nobody else takes. Some test runners make `console.error` throw. */
export function logError(thrown: unknown): void {
  guard(
    () => console.error(thrown),
    () => undefined,
  );
}
