/** When to ask again: backoff, the gap between answers, and the bucket that bounds both. Pure. */

export const FIRST_DELAY_MS = 1_000;
export const MAX_DELAY_MS = 30_000;
/** Between an answer and the long poll that follows it: the server may have more at once, the bucket bounds how often. */
export const CHANGE_GAP_MS = 100;
export const DEFAULT_INTERVAL_MS = 3_000;

/** Upper bound of the n-th delay in a row: 1 s, 2 s, 4 s … 30 s. `attempt` counts from 0. */
export const backoffBoundMs = (attempt: number): number => Math.min(FIRST_DELAY_MS * 2 ** attempt, MAX_DELAY_MS);

/**
 * How long to wait after the n-th failure in a row.
 *
 * Full jitter: uniform below the bound, so that clients that failed together do not return together.
 * `Retry-After` is the floor.
 */
export function backoffMs(attempt: number, random: () => number, retryAfterMs: number | null = null): number {
  return Math.max(random() * backoffBoundMs(attempt), retryAfterMs ?? 0);
}

/**
 * How long to wait after an answer.
 *
 * An answer that was held has used its interval up already, so a held long poll is followed at once; one that
 * was not held (a server that does not wait, a proxy that answers from its cache) is followed an interval after
 * its request. `followUp`: the next request is to be held by the server, and this answer gives no reason to doubt
 * that it will be.
 */
export function gapMs(answer: { followUp: boolean; elapsedMs: number; intervalMs: number }): number {
  if (answer.followUp) return CHANGE_GAP_MS;
  return Math.max(answer.intervalMs - answer.elapsedMs, 0);
}

/** Row 16: every 2 s on Wi-Fi, every 5 s on any other network. `null`: the network is not known. */
export const networkIntervalMs = (type: string | null): number | null =>
  type === null || type === 'unknown' ? null : type === 'wifi' ? 2_000 : 5_000;

/**
 * After a stream that ended by itself. The server bounds a stream's life, so a long one is followed at once (with
 * a little jitter); one that ended early waits as long as the server's `retry:` says.
 */
export function reconnectMs(stream: { livedMs: number; retryMs: number }, random: () => number): number {
  const spread = 0.5 + random();
  return stream.livedMs >= stream.retryMs ? CHANGE_GAP_MS * spread : stream.retryMs * spread;
}

/** Takes a token: 0 when there was one, else how long to wait before asking again. */
export type TakeToken = (nowMs: number) => number;

/**
 * A token bucket: the last line of defence. Whatever a server or proxy answers, and however often an app is
 * switched back and forth, no more than `capacity` requests go out at once and one per `refillMs` after that.
 */
export function createTokenBucket(startMs: number, capacity = 20, refillMs = 1_000): TakeToken {
  let tokens = capacity;
  let filledAt = startMs;
  return (nowMs) => {
    tokens = Math.min(tokens + Math.max(nowMs - filledAt, 0) / refillMs, capacity);
    filledAt = nowMs;
    if (tokens < 1) return Math.ceil((1 - tokens) * refillMs);
    tokens -= 1;
    return 0;
  };
}
