/** What the connection costs and how fast it is: requests of the last minute, upload to number, the last minutes. */
import type { StorageStatus } from 'blob-status-client/web';

export interface Sample {
  readonly at: number;
  readonly status: StorageStatus;
}

export const WINDOW_MS = 3 * 60_000;
const MINUTE_MS = 60_000;
const KEPT_LATENCIES = 50;

/** An upload that did not show by then is not measured. */
const LOST_MS = 30_000;

export class Meter {
  private requests: number[] = [];
  private uploads: number[] = [];
  private latencies: number[] = [];
  /** The slowest of those that showed with the last change. */
  private last: number | null = null;
  samples: readonly Sample[] = [];

  readonly countRequest = (): void => {
    this.requests.push(Date.now());
  };

  readonly uploadStarted = (): void => {
    this.uploads.push(performance.now());
  };

  heard(status: StorageStatus): void {
    const before = this.samples.at(-1)?.status;
    const arrived = before ? status.queued - before.queued : 0;
    this.uploads = this.uploads.filter((at) => at > performance.now() - LOST_MS);
    const seen = this.uploads.splice(0, Math.max(arrived, 0)).map((startedAt) => performance.now() - startedAt);
    if (seen.length) this.last = Math.max(...seen);
    this.latencies = [...this.latencies, ...seen].slice(-KEPT_LATENCIES);
    // One sample older than the window is kept: the line begins with it.
    const from = this.samples.findLastIndex(({ at }) => at < Date.now() - WINDOW_MS);
    this.samples = [...this.samples.slice(Math.max(from, 0)), { at: Date.now(), status }];
  }

  requestsLastMinute(): number {
    const from = Date.now() - MINUTE_MS;
    this.requests = this.requests.filter((at) => at > from);
    return this.requests.length;
  }

  /** From the start of an upload to the changed number, in ms; `null` before the first. */
  latency(): { last: number; p95: number; count: number } | null {
    const { last } = this;
    if (last === null) return null;
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const p95 = sorted[Math.min(Math.ceil(sorted.length * 0.95), sorted.length) - 1] ?? last;
    return { last, p95, count: sorted.length };
  }
}
