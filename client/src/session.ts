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
import { mayBeCut } from './protocol.js';
import { backoffMs, gapMs, reconnectMs, type TakeToken } from './pacing.js';
import { STREAM_AGAIN_MS, StreamDoubt } from './transports/doubt.js';
import type { Exchange, Outcome } from './transports/exchange.js';
import { requestStatus } from './transports/request.js';
import { followStream } from './transports/stream.js';
import type { Transport } from './types.js';

/** A held request that fails earlier was not cut by a gateway; it was refused. */
const CUT_FROM_MS = 1_000;

export interface Session {
  readonly exchange: Exchange;
  readonly takeToken: TakeToken;
  readonly random: () => number;
  /** Which transport to use now. */
  readonly transport: () => Promise<Transport>;
  readonly intervalMs: () => number;
  /** Counts successes, so that the session can tell whether an exchange that failed had worked first. */
  readonly confirmations: () => number;
  readonly fail: (error: StatusError) => void;
  /** Streaming does not work here: use long poll for so long. */
  readonly fallBack: (forMs: number) => void;
}

/** Runs until `exchange.signal` aborts. Never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { exchange, random, confirmations } = session;
  const { clock, memory, signal } = exchange;
  const doubt = new StreamDoubt();
  /** In a row. */
  let failures = 0;
  /** Drawn with the first failure of a row. */
  let jitter = 0;
  /** Exchanges that succeeded, in a row. */
  let answers = 0;
  /** What is learnt about the path if the next request is answered. */
  let suspicion: (() => void) | null = null;

  /**
   * How long the server is asked to hold the next request. After a failure not at all until an exchange has succeeded,
   * or a client that has just come back would have to call itself unconnected until something changes.
   */
  function nextWaitSeconds(transport: Transport): number {
    if (transport !== 'long-poll' || !answers) return 0;
    return memory.path.holds.waitSeconds(exchange.waitSeconds, clock.now());
  }

  function forgetFailures(): void {
    failures = 0;
    doubt.clear();
  }

  function afterAnswer(outcome: Outcome, transport: Transport, waitSeconds: number, elapsedMs: number): number {
    suspicion?.();
    suspicion = null;
    if (outcome.kind === 'unstreamable') {
      session.fallBack(STREAM_AGAIN_MS);
      return 0;
    }
    const first = !answers;
    answers += 1;
    memory.path.holds.answered(waitSeconds, elapsedMs);
    forgetFailures();
    if (outcome.kind === 'ended') return reconnectMs(outcome, random);
    const followUp = nextWaitSeconds(transport) > 0 && (first || outcome.changed);
    return gapMs({ followUp, elapsedMs, intervalMs: session.intervalMs() });
  }

  function afterFailure(
    error: StatusError,
    transport: Transport,
    waitSeconds: number,
    elapsedMs: number,
    worked: boolean,
  ): number {
    answers = 0;
    suspicion = null;
    if (waitSeconds && mayBeCut(error)) {
      const { holds } = memory.path;
      // Of a request that died without a word nobody knows when: that it was half-way is a guess.
      const isSilent = error.code === 'timeout';
      const ageMs = isSilent ? waitSeconds * 500 : elapsedMs;
      suspicion = () => holds.cut(waitSeconds, ageMs, clock.now());
      // A lost network looks the same. The next request tells, so it goes out at once, and nothing has failed yet.
      if (holds.isKnown || (!isSilent && elapsedMs >= CUT_FROM_MS)) return 0;
    }
    if (worked) forgetFailures();
    session.fail(error);
    const fallBackMs = transport === 'sse' && !worked ? doubt.after(error) : 0;
    if (fallBackMs) session.fallBack(fallBackMs);
    if (!failures) jitter = random();
    return backoffMs(failures++, jitter, error.retryAfterMs);
  }

  /** One exchange; returns how long to wait before the next. */
  async function once(): Promise<number> {
    const transport = await session.transport();
    const waitSeconds = nextWaitSeconds(transport);
    const startedAt = clock.now();
    const before = confirmations();
    try {
      const outcome = await (transport === 'sse' ? followStream(exchange) : requestStatus(exchange, waitSeconds));
      return afterAnswer(outcome, transport, waitSeconds, clock.now() - startedAt);
    } catch (thrown) {
      if (signal.aborted) return 0;
      const worked = confirmations() > before;
      return afterFailure(toStatusError(thrown), transport, waitSeconds, clock.now() - startedAt, worked);
    }
  }

  while (!signal.aborted) {
    const tokenInMs = session.takeToken(clock.now());
    await sleep(clock, tokenInMs || (await once()), signal);
  }
}
