/**
 * One run of the connection: from "somebody wants status" until that ends.
 *
 * ```text
 *  offline? wait a minute, two, four …
 *       ▼
 *  token bucket ─► one exchange ─► answered / ended ─► gap ──┐
 *       ▲              │                                     │
 *       │              ├► failed ─► backoff (Retry-After) ───┤
 *       │              ├► cut / silent ─► plain, at once ────┤
 *       └────────────────────────────────────────────────────┘
 * ```
 * One exchange at a time, always; after the signal aborts nothing is reported.
 */
import { sleep } from './clock.js';
import { type StatusError, toStatusError } from './errors.js';
import { backoffMs, CHANGE_GAP_MS, lookAgainMs, reconnectMs, type TakeToken } from './pacing.js';
import { isAnswered, mayBeCut } from './protocol.js';
import type { Exchange, Outcome } from './transports/exchange.js';
import { requestStatus } from './transports/request.js';
import { followStream } from './transports/stream.js';
import type { Transport } from './types.js';

/** A held request that fails earlier was not cut by a gateway; it was refused. */
const CUT_FROM_MS = 1_000;
/** Between looks at a network that the device says is not there. */
const OFFLINE_MINUTES = 5;

export interface Session {
  readonly exchange: Exchange;
  readonly takeToken: TakeToken;
  readonly random: () => number;
  /** Awaited before each exchange: finds out whether a connection may be held. */
  readonly getReady: () => Promise<void>;
  /** Which transport to use now. */
  readonly transport: () => Transport;
  readonly intervalMs: () => number;
  /** To be called when `intervalMs` may say something else: the gap that is running is computed again. */
  readonly wakers: Set<() => void>;
  /** The device says that it is offline. That is a hint: look now and then whether it is true. */
  readonly isOffline: boolean;
  /** The first look is now, and not after a minute. */
  readonly looksNow: boolean;
  readonly fail: (error: StatusError) => void;
}

/** Runs until `exchange.signal` aborts. Never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { exchange, random } = session;
  const { clock, memory, signal } = exchange;
  let { isOffline } = session;
  /** Since the device said that it is offline. */
  let looks = 0;
  /** In a row. */
  let failures = 0;
  /** Drawn with the first failure of a row. */
  let jitter = 0;
  /** Exchanges that succeeded, in a row. */
  let answers = 0;
  /** What is learnt about the path if the next request, a plain one, is answered; `answerMs`: how fast. */
  let suspicion: ((answerMs: number) => void) | null = null;

  /**
   * How long the server is asked to hold the next request, in seconds. After a failure not at all until an exchange
   * has succeeded, or a client that has just come back would have to call itself unconnected until something changes.
   */
  function waitSeconds(): number {
    if (session.transport() !== 'long-poll' || !answers) return 0;
    return memory.path.holds.waitSeconds(exchange.waitSeconds, clock.now());
  }

  /**
   * How long to wait after an exchange; `null`: until an interval has passed since it began. An answer that was held
   * has used that up already; one that was not (a server that does not wait, a proxy that answers from its cache) has
   * not. The next request follows at once where it is to be held and this answer gives no reason to doubt that it will.
   */
  function afterAnswer(outcome: Outcome, heldSeconds: number, elapsedMs: number): number | null {
    if (outcome.kind === 'silent') {
      answers = 0;
      const { streams } = memory.path;
      suspicion = (answerMs) => streams.wasSilent(answerMs, clock.now());
      return 0;
    }
    isOffline = false;
    memory.path.holds.answered(heldSeconds, elapsedMs);
    const isFirst = !answers;
    answers += 1;
    failures = 0;
    if (outcome.kind === 'answered') {
      const isFollowed = session.transport() === 'sse' || (waitSeconds() > 0 && (isFirst || outcome.changed));
      return isFollowed ? CHANGE_GAP_MS : null;
    }
    if (outcome.error) return afterFailure(outcome.error, 0, elapsedMs);
    if (session.transport() === 'sse') return reconnectMs(outcome, random);
    answers = 0;
    return 0;
  }

  function afterFailure(error: StatusError, heldSeconds: number, elapsedMs: number): number {
    if (isOffline && !isAnswered(error)) return lookAgainMs(looks++, OFFLINE_MINUTES);
    isOffline = false;
    answers = 0;
    suspicion = null;
    if (heldSeconds && mayBeCut(error)) {
      const { holds } = memory.path;
      // Of a request that died without a word nobody knows when: that it was half-way is a guess.
      const isSilent = error.code === 'timeout';
      const ageMs = isSilent ? heldSeconds * 500 : elapsedMs;
      suspicion = () => holds.cut(heldSeconds, ageMs, clock.now());
      // A lost network looks the same. The next request tells, so it goes out at once, and nothing has failed yet.
      if (holds.isKnown || (!isSilent && elapsedMs >= CUT_FROM_MS)) return 0;
    }
    session.fail(error);
    if (!failures) jitter = random();
    return backoffMs(failures++, jitter, error.retryAfterMs);
  }

  /** The next request was answered: what was suspected is true. */
  function learn(answerMs: number): void {
    suspicion?.(answerMs);
    suspicion = null;
  }

  /** One exchange; returns how long to wait before the next. */
  async function once(): Promise<number | null> {
    await session.getReady();
    const isPlain = isOffline || suspicion !== null || memory.canStream === null;
    const heldSeconds = waitSeconds();
    const startedAt = clock.now();
    try {
      const isStream = session.transport() === 'sse' && !isPlain;
      const outcome = await (isStream ? followStream(exchange) : requestStatus(exchange, heldSeconds, learn));
      return afterAnswer(outcome, heldSeconds, clock.now() - startedAt);
    } catch (thrown) {
      return signal.aborted ? 0 : afterFailure(toStatusError(thrown), heldSeconds, clock.now() - startedAt);
    }
  }

  if (isOffline && !session.looksNow) await sleep(clock, lookAgainMs(looks++, OFFLINE_MINUTES), signal);
  while (!signal.aborted) {
    const startedAt = clock.now();
    const pauseMs = session.takeToken(startedAt) || (await once());
    const endedAt = clock.now();
    const endsAt = (): number => (pauseMs === null ? startedAt + session.intervalMs() : endedAt + pauseMs);
    const leftMs = (): number => Math.max(endsAt() - clock.now(), 0);
    do await sleep(clock, leftMs(), signal, session.wakers);
    while (!signal.aborted && leftMs() > 0);
  }
}
