/**
 * One run of the connection: from "somebody wants status" until that ends.
 *
 * ```text
 *  token bucket ─► one exchange ─► answered / ended ─► gap ──┐
 *       ▲              │                                     │
 *       │              ├► failed ─► backoff (Retry-After) ───┤
 *       │              ├► unstreamable ─► long poll, at once ┤
 *       └────────────────────────────────────────────────────┘
 * ```
 * One exchange at a time, always; after the signal aborts nothing is reported.
 */
import { sleep } from './clock.js';
import { type StatusError, toStatusError } from './errors.js';
import { backoffMs, gapMs, reconnectMs, type TakeToken } from './pacing.js';
import { STREAM_AGAIN_MS, StreamDoubt } from './transports/doubt.js';
import type { Exchange, Outcome } from './transports/exchange.js';
import { requestStatus } from './transports/request.js';
import { followStream } from './transports/stream.js';
import type { Transport } from './types.js';

export interface Session {
  readonly exchange: Exchange;
  readonly takeToken: TakeToken;
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

function exchangeOnce({ exchange }: Session, transport: Transport, hold: boolean): Promise<Outcome> {
  return transport === 'sse' ? followStream(exchange) : requestStatus(exchange, hold ? exchange.waitSeconds : 0);
}

/** Runs until `exchange.signal` aborts. Never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { exchange, random, confirmations } = session;
  const { clock, signal } = exchange;
  const doubt = new StreamDoubt();
  /** In a row. */
  let failures = 0;
  /** Drawn with the first failure of a row. */
  let jitter = 0;
  /** Exchanges that succeeded, in a row. */
  let answers = 0;
  /** Held requests that failed, in a row. */
  let cuts = 0;
  /** Whether the server is asked to hold the request. */
  let hold = false;

  /**
   * After a failure a long poll is not held until an exchange has succeeded, or a client that has just come back
   * would have to call itself unconnected until something changes. On a path that cuts held requests again and
   * again, until one more has succeeded each time: that becomes a poll.
   */
  const holds = (transport: Transport): boolean => transport === 'long-poll' && answers >= (cuts || 1);

  function forgetFailures(): void {
    failures = 0;
    doubt.clear();
  }

  function afterAnswer(outcome: Outcome, transport: Transport, elapsedMs: number): number {
    if (outcome.kind === 'unstreamable') {
      session.fallBack(STREAM_AGAIN_MS);
      return 0;
    }
    const first = !answers;
    answers += 1;
    if (hold) cuts = 0;
    forgetFailures();
    if (outcome.kind === 'ended') return reconnectMs(outcome, random);
    const followUp = holds(transport) && (first || outcome.changed);
    return gapMs({ followUp, elapsedMs, intervalMs: session.intervalMs() });
  }

  function afterFailure(error: StatusError, transport: Transport, worked: boolean): number {
    answers = 0;
    if (hold) cuts += 1;
    if (worked) forgetFailures();
    session.fail(error);
    const fallBackMs = transport === 'sse' && !worked ? doubt.after(error) : 0;
    if (fallBackMs) session.fallBack(fallBackMs);
    if (!failures) jitter = random();
    return backoffMs(failures++, jitter, error.retryAfterMs);
  }

  /** One exchange; returns how long to wait before the next. */
  async function once(): Promise<number> {
    const transport = session.transport();
    hold = holds(transport);
    const startedAt = clock.now();
    const before = confirmations();
    try {
      const outcome = await exchangeOnce(session, transport, hold);
      return afterAnswer(outcome, transport, clock.now() - startedAt);
    } catch (thrown) {
      return signal.aborted ? 0 : afterFailure(toStatusError(thrown), transport, confirmations() > before);
    }
  }

  while (!signal.aborted) {
    const tokenInMs = session.takeToken(clock.now());
    await sleep(clock, tokenInMs || (await once()), signal);
  }
}
