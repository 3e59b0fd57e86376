/** When to ask again: backoff, intervals, and the bucket that bounds both. Pure. */

/** Between an answer and the long poll that follows it: the server may have more at once, the bucket bounds how often. */
export const CHANGE_GAP_MS = 100;
export const DEFAULT_INTERVAL_MS = 3_000;

/** log2(30 / ln 2): there, doubling has become as steep as 30 s an attempt. */
const STRAIGHT_FROM = 5.436;

/** The curve on which attempts in a row come, in seconds: doubling, then straight on. */
const attemptAt = (n: number): number => 2 ** Math.min(n, STRAIGHT_FROM) + 30 * Math.max(n - STRAIGHT_FROM, 0);

/**
 * How long to wait after a failure: at most 1 s, 2 s, 4 s … 30 s, at least half of that.
 *
 * `jitter` in [0, 1) is drawn once a row. Clients that failed together stand evenly along the curve, so whenever the
 * server returns they come evenly too (the first at most twice as densely as the last), and nobody is late: all are
 * back when the outage has lasted once more, and a second. Drawn for each attempt it would leave stragglers.
 *
 * `Retry-After` is the floor, and is spread as well: everybody may have been told the same.
 *
 * @param attempt Failures before this one, in a row.
 */
export function backoffMs(attempt: number, jitter: number, retryAfterMs: number | null): number {
  const n = attempt + jitter;
  return Math.max(1_000 * (attemptAt(n) - attemptAt(n - 1)), (retryAfterMs ?? 0) * (1 + jitter));
}

/** 1, 2, 4 … minutes: when to look again whether what keeps a client from sending still holds. */
export const lookAgainMs = (looks: number, mostMinutes: number): number => 60_000 * Math.min(2 ** looks, mostMinutes);

/** Row 16: every 2 s on Wi-Fi, every 5 s on any other network. `null`: the network is not known, or said not to be. */
export const networkIntervalMs = (type: string | null): number | null =>
  type === null || type === 'none' ? null : type === 'wifi' ? 2_000 : 5_000;

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
