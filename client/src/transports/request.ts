/** Long poll and plain poll: one conditional GET, held by the server or not. */
import { StatusError } from '../errors.js';
import { parseStatus } from '../protocol.js';
import type { Exchange, Memory, Outcome } from './exchange.js';

/** For an answer that is not held. */
const ANSWER_LIMIT_MS = 10_000;
/** Beyond the wait: the server's jitter and the way there and back. 25 s + 4 s stays below an app's 30 s. */
const HOLD_SLACK_MS = 4_000;
/** One early, unchanged 200 can be a coincidence or a cache; two in a row are a path that loses headers. */
const LOST_VALIDATORS = 2;

interface Question {
  readonly path: string;
  readonly headers: Record<string, string>;
}

/**
 * The first request has no validator and is answered at once, so it does not ask to be held.
 *
 * Across origins the query is what costs least: without a token or `headers` no preflight at all, with one a preflight
 * for each version, which the browser keeps. `If-None-Match` makes Chromium pass over its preflight cache every time.
 */
function question({ memory, http, statusPath }: Exchange, waitSeconds: number): Question {
  const headers: Record<string, string> = { Accept: 'application/json' };
  const known = memory.reading?.validator;
  if (!known) return { path: statusPath, headers };
  if (memory.path.viaQuery || http.crossOrigin) {
    const wait = waitSeconds ? `&wait=${waitSeconds}` : '';
    // A browser's cache lets one request for an address go at a time: another window's would wait for ours, 20 s.
    const own = globalThis.document ? `&client=${memory.id}` : '';
    return { path: `${statusPath}?since=${encodeURIComponent(known)}${wait}${own}`, headers };
  }
  headers['If-None-Match'] = `"${known}"`;
  if (waitSeconds) headers.Prefer = `wait=${waitSeconds}`;
  return { path: statusPath, headers };
}

/** Asks once. `waitSeconds` 0 is a plain poll. `learn` hears how long it took before anybody is told of the answer. */
export async function requestStatus(
  exchange: Exchange,
  waitSeconds: number,
  learn: (answerMs: number) => void,
): Promise<Outcome> {
  const { memory, clock, signal } = exchange;
  const startedAt = clock.now();
  const limitMs = Math.max(waitSeconds * 1000 + HOLD_SLACK_MS, ANSWER_LIMIT_MS);
  const call = { ...question(exchange, waitSeconds), limitMs, signal };
  const reading = await exchange.http.get(call, async (response) => {
    if (response.status === 304) return null;
    if (memory.canStream !== false) memory.canStream = typeof response.body?.getReader === 'function';
    return parseStatus(await response.text(), response.headers.get('ETag'));
  });
  if (signal.aborted) return { kind: 'answered', changed: false };
  if (!reading && !memory.reading) throw new StatusError('protocol', '304 without a validator.');
  const elapsedMs = clock.now() - startedAt;
  noticeLostValidator(memory, reading?.version, elapsedMs, waitSeconds);
  learn(elapsedMs);
  return { kind: 'answered', changed: exchange.confirm(reading) };
}

/** A 200 that says what we already said we know, and early: the validator did not arrive. */
function noticeLostValidator(
  memory: Memory,
  version: string | undefined,
  elapsedMs: number,
  waitSeconds: number,
): void {
  const early = elapsedMs < (waitSeconds * 1000) / 2;
  const lost = early && version !== undefined && version === memory.reading?.validator;
  const { path } = memory;
  path.lostValidators = lost ? path.lostValidators + 1 : 0;
  if (path.lostValidators >= LOST_VALIDATORS) path.viaQuery = true;
}
