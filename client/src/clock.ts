import type { StatusErrorCode } from './errors.js';
import type { Clock } from './types.js';

/** Real time, from the monotonic clock where there is one. */
export const systemClock: Clock = {
  now: () => globalThis.performance?.now() ?? Date.now(),
  schedule(run, delayMs) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs` or as soon as `signal` aborts or one of `wakers` is called. Never rejects. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal, wakers?: Set<() => void>): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      wakers?.delete(done);
      resolve();
    };
    const cancel = clock.schedule(done, delayMs);
    signal.addEventListener('abort', done);
    wakers?.add(done);
  });
}

/**
 * A time limit tied to a parent's signal. `race` rejects when either ends, also where `fetch` ignores its signal
 * (some React Native versions do, while reading a body).
 */
export class Deadline {
  private readonly controller = new AbortController();
  private readonly ended: Promise<never>;
  private cancelTimer: (() => void) | null = null;
  private endsAtMs = 0;
  private readonly end = (): void => this.controller.abort();
  /** True once the time was up (and not when the parent aborted). */
  expired = false;
  code: StatusErrorCode = 'timeout';

  constructor(
    private readonly parent: AbortSignal,
    private readonly clock: Clock,
  ) {
    this.ended = new Promise((_, reject) => {
      this.signal.addEventListener('abort', () => reject(new Error('aborted')));
    });
    this.ended.catch(() => undefined);
    if (parent.aborted) this.end();
    else parent.addEventListener('abort', this.end);
  }

  get leftMs(): number {
    return this.endsAtMs - this.clock.now();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Starts the limit over. `code` is what it means when this one expires. */
  arm(limitMs: number, code: StatusErrorCode = 'timeout'): void {
    this.code = code;
    this.cancelTimer?.();
    this.endsAtMs = this.clock.now() + limitMs;
    this.cancelTimer = this.clock.schedule(() => {
      this.expired = true;
      this.end();
    }, limitMs);
  }

  race<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.ended]);
  }

  /** Must be called; also ends what is still running under this limit. */
  dispose(): void {
    this.cancelTimer?.();
    this.parent.removeEventListener('abort', this.end);
    this.end();
  }
}
