/** Who listens, and what each has been told. */
import { guard } from './app-code.js';
import type { Reading } from './protocol.js';
import type { StatusListener, SubscribeOptions } from './types.js';

export interface Entry {
  readonly listener: StatusListener;
  readonly options: SubscribeOptions;
  told: Reading | null;
}

export class Listeners {
  private readonly entries = new Set<Entry>();
  /** What is being told; `null` once it is worth nothing any more. */
  private telling: Reading | null = null;

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

  add(listener: StatusListener, options: SubscribeOptions = {}): Entry {
    const entry: Entry = { listener, options, told: null };
    this.entries.add(entry);
    return entry;
  }

  remove(entry: Entry): void {
    this.entries.delete(entry);
  }

  /** Tells everyone who has not heard it yet. A listener that throws harms neither the others nor the connection. */
  tell(reading: Reading): void {
    this.telling = reading;
    for (const entry of [...this.entries]) {
      if (this.telling !== reading) return;
      if (entry.options.everyAnswer || entry.told?.version !== reading.version) this.tellOne(entry, reading);
    }
  }

  tellOne(entry: Entry, reading: Reading): void {
    if (!this.entries.has(entry)) return;
    entry.told = reading;
    guard(() => entry.listener(reading.status, { version: reading.validator }), this.report);
  }

  /** What was told, or is being told, is worth nothing any more: everyone is told what comes next. */
  forget(): void {
    this.telling = null;
    for (const entry of this.entries) entry.told = null;
  }

  clear(): void {
    this.entries.clear();
  }
}
