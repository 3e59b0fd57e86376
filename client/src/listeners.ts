/** Who listens, and what each has been told. */
import { guard } from './app-code.js';
import type { Reading } from './protocol.js';
import type { StatusListener, SubscribeOptions, Unsubscribe } from './types.js';

interface Entry {
  readonly listener: StatusListener;
  readonly options: SubscribeOptions;
  told: Reading | null;
}

export class Listeners {
  private readonly entries = new Set<Entry>();

  /** @param report Takes what a listener throws. */
  constructor(private readonly report: (thrown: unknown) => void) {}

  get size(): number {
    return this.entries.size;
  }

  /** The smallest interval that a listener asked for. */
  get intervalMs(): number | null {
    const asked = [...this.entries].flatMap(({ options }) => options.intervalMs ?? []);
    return asked.length ? Math.min(...asked) : null;
  }

  add(listener: StatusListener, options: SubscribeOptions = {}): Unsubscribe {
    const entry: Entry = { listener, options, told: null };
    this.entries.add(entry);
    return () => this.entries.delete(entry);
  }

  /** Tells everyone who has not heard it yet. A listener that throws harms neither the others nor the connection. */
  tell(reading: Reading): void {
    for (const entry of [...this.entries]) {
      const isKnown = entry.told?.version === reading.version && !entry.options.everyAnswer;
      if (!this.entries.has(entry) || isKnown) continue;
      entry.told = reading;
      guard(() => entry.listener(reading.status, { version: reading.validator }), this.report);
    }
  }

  /** What was told is worth nothing any more: everyone is told what comes next. */
  forget(): void {
    for (const entry of this.entries) entry.told = null;
  }

  clear(): void {
    this.entries.clear();
  }
}
