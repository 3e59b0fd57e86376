import type { Clock } from '../../src/types.js';

/** Lets everything that is ready run: promises, streams, immediates. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

interface Timer {
  readonly at: number;
  readonly run: () => void;
}

/** Time that stands still until told to move. */
export class FakeClock implements Clock {
  private current = 0;
  private readonly timers = new Set<Timer>();

  /** Timers that wait: none may be left after everything has stopped. */
  get pending(): number {
    return this.timers.size;
  }

  now(): number {
    return this.current;
  }

  schedule(run: () => void, delayMs: number): () => void {
    if (!(delayMs >= 0)) throw new RangeError(`${delayMs} ms`); // which Node warns of
    const timer = { at: this.current + delayMs, run };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Moves on, timer by timer in their order, with everything settled after each. */
  async advance(ms: number): Promise<void> {
    const end = this.current + ms;
    await settle();
    for (let next = this.next(end); next; next = this.next(end)) {
      this.timers.delete(next);
      this.current = Math.max(this.current, next.at);
      next.run();
      await settle();
    }
    this.current = end;
  }

  private next(end: number): Timer | undefined {
    return [...this.timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
  }
}

/** A small seeded generator (mulberry32): the same run every time. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
