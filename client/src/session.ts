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

/**
 * `settled`: the last exchange succeeded. Until then a long poll is not held, or a client that has just come back
 * would have to call itself unconnected until something changes.
 */
function exchangeOnce({ exchange }: Session, transport: Transport, settled: boolean): Promise<Outcome> {
  if (transport === 'sse') return followStream(exchange);
  return requestStatus(exchange, transport === 'long-poll' && settled ? exchange.waitSeconds : 0);
}

/** Waits until the bucket has a token, or the signal aborts. */
async function awaitToken({ takeToken, exchange: { clock, signal } }: Session): Promise<void> {
  for (let waitMs = takeToken(clock.now()); waitMs && !signal.aborted; waitMs = takeToken(clock.now())) {
    await sleep(clock, waitMs, signal);
  }
}

/** Runs until `exchange.signal` aborts or the server rejects the request. Never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { exchange, random, confirmations } = session;
  const { clock, signal } = exchange;
  const doubt = new StreamDoubt();
  /** In a row. */
  let failures = 0;
  /** The last exchange succeeded. */
  let settled = false;

  function forgetFailures(): void {
    failures = 0;
    doubt.clear();
  }

  function afterAnswer(outcome: Outcome, transport: Transport, elapsedMs: number): number {
    if (outcome.kind === 'unstreamable') {
      session.fallBack(STREAM_AGAIN_MS);
      return 0;
    }
    const first = !settled;
    settled = true;
    forgetFailures();
    if (outcome.kind === 'ended') return reconnectMs(outcome, random);
    const followUp = transport === 'long-poll' && (first || outcome.changed);
    return gapMs({ followUp, elapsedMs, intervalMs: session.intervalMs() });
  }

  function afterFailure(error: StatusError, transport: Transport, worked: boolean): number {
    settled = false;
    if (worked) forgetFailures();
    session.fail(error);
    const fallBackMs = transport === 'sse' && !worked ? doubt.after(error) : 0;
    if (fallBackMs) session.fallBack(fallBackMs);
    return backoffMs(failures++, random, error.retryAfterMs);
  }

  /** One exchange; returns how long to wait before the next. */
  async function once(): Promise<number> {
    const transport = session.transport();
    const startedAt = clock.now();
    const before = confirmations();
    try {
      const outcome = await exchangeOnce(session, transport, settled);
      return afterAnswer(outcome, transport, clock.now() - startedAt);
    } catch (thrown) {
      return signal.aborted ? 0 : afterFailure(toStatusError(thrown), transport, confirmations() > before);
    }
  }

  while (!signal.aborted) {
    await awaitToken(session);
    if (!signal.aborted) await sleep(clock, await once(), signal);
  }
}
