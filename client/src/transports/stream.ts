/** Server-Sent Events over `fetch`: the browser's own EventSource cannot send a bearer token. */
import { createParser } from 'eventsource-parser';
import type { Deadline } from '../clock.js';
import { StatusError, toStatusError } from '../errors.js';
import { parseStreamData, type Reading, STATUS_EVENT, STREAM_PATH, STREAM_SILENCE_MS } from '../protocol.js';
import type { ResponseLike } from '../types.js';
import type { Exchange, Outcome } from './exchange.js';

/** Headers and the first frame or comment come at once; later than this, something is buffering. */
const FIRST_FRAME_MS = 5_000;
/** While there are no numbers to show, nobody waits that long for them. */
const FIRST_NUMBERS_MS = 2_000;
const DEFAULT_RETRY_MS = 3_000;
/** `retry:` is a hint from the wire; the bounds keep it one. */
const RETRY_BOUNDS_MS = [100, 30_000] as const;
/** Without a frame or a comment in between: a hundred times the longest of either. */
const MAX_UNHEARD_BYTES = 65_536;

/** What a stream has said so far. */
interface Heard {
  /** When the last frame or comment came; `null` before the first. */
  lastAtMs: number | null;
  retryMs: number;
}

/** Follows one stream until it ends. Throws StatusError when it fails before it said anything. */
export async function followStream(exchange: Exchange): Promise<Outcome> {
  const { clock, memory, signal } = exchange;
  const { path } = memory;
  const known = memory.reading?.validator;
  // Without the second type the server takes us for an EventSource, which does not see a 503 and its Retry-After.
  const headers: Record<string, string> = { Accept: 'text/event-stream, application/problem+json' };
  if (known) headers['Last-Event-ID'] = known;
  const limitMs = memory.reading ? FIRST_FRAME_MS : FIRST_NUMBERS_MS;
  const startedAt = clock.now();
  const heard: Heard = { lastAtMs: null, retryMs: DEFAULT_RETRY_MS };
  let error: StatusError | null = null;
  try {
    const call = { path: exchange.statusPath + STREAM_PATH, headers, limitMs, signal };
    await exchange.http.get(call, (response, deadline) => readFrames(response, deadline, exchange, heard));
  } catch (thrown) {
    error = toStatusError(thrown);
  }
  if (signal.aborted) return { kind: 'silent' };
  const now = clock.now();
  if (heard.lastAtMs === null) {
    if (!error || error.code === 'timeout') return { kind: 'silent' };
    path.streams.failed(error, now);
    throw error;
  }
  path.streams.heardFor(heard.lastAtMs - startedAt, error !== null, now);
  // A connection that breaks is how gateways, and servers that go, end a stream.
  if (error?.code === 'network') error = null;
  return { kind: 'ended', retryMs: heard.retryMs, livedMs: now - startedAt, error };
}

/** Reads until the stream ends, and notes in `heard` what came. */
async function readFrames(response: ResponseLike, deadline: Deadline, exchange: Exchange, heard: Heard): Promise<void> {
  const { clock, memory, signal } = exchange;
  if (!/^text\/event-stream\b/i.test(response.headers.get('Content-Type') ?? '')) {
    throw new StatusError('protocol', 'Not a stream.');
  }
  const reader = response.body?.getReader?.();
  if (!reader) {
    memory.canStream = false;
    return;
  }
  let unheardBytes = 0;
  const hear = (reading: Reading | null): void => {
    unheardBytes = 0;
    // A comment alone confirms numbers, but does not make any.
    if (signal.aborted || !(reading ?? memory.reading)) return;
    heard.lastAtMs = clock.now();
    deadline.arm(STREAM_SILENCE_MS);
    exchange.confirm(reading);
  };
  const parser = createParser({
    onEvent(event) {
      if (event.event === STATUS_EVENT) hear(parseStreamData(event.data, event.id));
    },
    onComment() {
      hear(null);
    },
    onRetry(ms) {
      heard.retryMs = Math.min(Math.max(ms, RETRY_BOUNDS_MS[0]), RETRY_BOUNDS_MS[1]);
    },
  });
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await deadline.race(reader.read());
    if (done || !value) break;
    await exchange.http.confirmToken(deadline);
    unheardBytes += value.length;
    parser.feed(decoder.decode(value, { stream: true }));
    if (unheardBytes > MAX_UNHEARD_BYTES) throw new StatusError('protocol', 'Not a stream of frames.');
  }
  if (heard.lastAtMs === null) throw new StatusError('protocol', 'Empty stream.');
}
