/**
 * One run of the connection: from "somebody wants status" until that ends.
 *
 * ```text
 *  token bucket ─► one exchange ─► answered / ended ─► gap ──┐
 *       ▲              │                                     │
 *       │              ├► failed ─► backoff (Retry-After) ───┤
 *       │              ├► unstreamable ─► long poll, at once ┤
 *       └──────────────┼─────────────────────────────────────┘
 *                      └► rejected ─► the end
 * ```
 * One exchange at a time, always; after the signal aborts nothing is reported.
 */
import { sleep } from './clock.js';
import { type StatusError, toStatusError } from './errors.js';
import { backoffMs, gapMs, reconnectMs, type TokenBucket } from './pacing.js';
import { STREAM_AGAIN_MS, StreamDoubt } from './transports/doubt.js';
import type { Exchange, Outcome } from './transports/exchange.js';
import { requestStatus } from './transports/request.js';
import { followStream } from './transports/stream.js';
import type { Transport } from './types.js';

export interface Session {
  readonly exchange: Exchange;
  readonly bucket: TokenBucket;
  readonly random: () => number;
  /** Which transport to use now. */
  readonly transport: () => Transport;
  readonly intervalMs: () => number;
  /** Counts successes, so that the session can tell whether an exchange that failed had worked first. */
  readonly confirmations: () => number;
  readonly fail: (error: StatusError) => void;
  /** Streaming does not work here: use long poll for so long. */
  readonly fallBack: (forMs: number) => void;
}

/**
 * `settled`: the last exchange succeeded. Until then a long poll is not held, or a client that has just come back
 * would have to call itself unconnected until something changes.
 */
function exchangeOnce({ exchange }: Session, transport: Transport, settled: boolean): Promise<Outcome> {
  if (transport === 'sse') return followStream(exchange);
  return requestStatus(exchange, transport === 'long-poll' && settled ? exchange.waitSeconds : 0);
}

/** Waits until the bucket has a token, or the signal aborts. */
async function takeToken({ bucket, exchange: { clock, signal } }: Session): Promise<void> {
  for (let waitMs = bucket.take(clock.now()); waitMs && !signal.aborted; waitMs = bucket.take(clock.now())) {
    await sleep(clock, waitMs, signal);
  }
}

/** Runs until `exchange.signal` aborts or the server rejects the request. Never rejects. */
export function runSession(session: Session): Promise<void> {
  return new Run(session).toTheEnd();
}

class Run {
  private readonly doubt = new StreamDoubt();
  /** In a row. */
  private failures = 0;
  /** The last exchange succeeded. */
  private settled = false;

  constructor(private readonly session: Session) {}

  async toTheEnd(): Promise<void> {
    const { clock, signal } = this.session.exchange;
    while (!signal.aborted) {
      await takeToken(this.session);
      if (signal.aborted) return;
      const pauseMs = await this.once();
      if (signal.aborted) return;
      await sleep(clock, pauseMs, signal);
    }
  }

  /** One exchange; returns how long to wait before the next. */
  private async once(): Promise<number> {
    const { exchange, confirmations } = this.session;
    const transport = this.session.transport();
    const startedAt = exchange.clock.now();
    const before = confirmations();
    try {
      const outcome = await exchangeOnce(this.session, transport, this.settled);
      return this.afterAnswer(outcome, transport, exchange.clock.now() - startedAt);
    } catch (thrown) {
      if (exchange.signal.aborted) return 0;
      return this.afterFailure(toStatusError(thrown), transport, confirmations() > before);
    }
  }

  private afterAnswer(outcome: Outcome, transport: Transport, elapsedMs: number): number {
    const { session } = this;
    if (outcome.kind === 'unstreamable') {
      session.fallBack(STREAM_AGAIN_MS);
      return 0;
    }
    const first = !this.settled;
    this.settled = true;
    this.forgetFailures();
    if (outcome.kind === 'ended') return reconnectMs(outcome, session.random);
    const followUp = transport === 'long-poll' && (first || outcome.changed);
    return gapMs({ followUp, elapsedMs, intervalMs: session.intervalMs() });
  }

  private forgetFailures(): void {
    this.failures = 0;
    this.doubt.clear();
  }

  private afterFailure(error: StatusError, transport: Transport, worked: boolean): number {
    const { session } = this;
    this.settled = false;
    if (worked) this.forgetFailures();
    session.fail(error);
    const fallBackMs = transport === 'sse' && !worked ? this.doubt.after(error) : 0;
    if (fallBackMs) session.fallBack(fallBackMs);
    const waitMs = backoffMs(this.failures, session.random, error.retryAfterMs);
    this.failures += 1;
    return waitMs;
  }
}
