/** Server-Sent Events over `fetch`: the browser's own EventSource cannot send a bearer token. */
import { createParser } from 'eventsource-parser';
import type { Deadline } from '../clock.js';
import { StatusError } from '../errors.js';
import { parseStreamData, type Reading, STATUS_EVENT, STREAM_PATH, STREAM_SILENCE_MS } from '../protocol.js';
import type { ResponseLike } from '../types.js';
import type { Exchange, Outcome } from './exchange.js';

/** Headers and the first frame or comment come at once; later than this, something is buffering. */
const FIRST_FRAME_MS = 5_000;
const DEFAULT_RETRY_MS = 3_000;
/** `retry:` is a hint from the wire; the bounds keep it one. */
const RETRY_BOUNDS_MS = [100, 30_000] as const;

/** Follows one stream until it ends. Throws StatusError when it fails. */
export async function followStream(exchange: Exchange): Promise<Outcome> {
  if (typeof TextDecoder === 'undefined') return { kind: 'unstreamable' };
  const known = exchange.memory.reading?.validator;
  // Without the second type the server takes us for an EventSource, which does not see a 503 and its Retry-After.
  const headers: Record<string, string> = { Accept: 'text/event-stream, application/problem+json' };
  if (known) headers['Last-Event-ID'] = known;
  const progress = { frames: 0 };
  try {
    return await exchange.http.get(
      { path: STREAM_PATH, headers, limitMs: FIRST_FRAME_MS, signal: exchange.signal },
      (response, deadline) => readFrames(response, deadline, exchange, progress),
    );
  } catch (thrown) {
    const buffered = thrown instanceof StatusError && thrown.code === 'timeout' && progress.frames === 0;
    if (buffered) return { kind: 'unstreamable' };
    throw thrown;
  }
}

async function readFrames(
  response: ResponseLike,
  deadline: Deadline,
  exchange: Exchange,
  progress: { frames: number },
): Promise<Outcome> {
  if (!/^text\/event-stream\b/i.test(response.headers.get('Content-Type') ?? '')) {
    throw new StatusError('protocol', 'Not a stream.');
  }
  const reader = (response.body as ReadableStream<Uint8Array> | null | undefined)?.getReader?.();
  if (!reader) return { kind: 'unstreamable' };
  const { clock, signal } = exchange;
  const startedAt = clock.now();
  let retryMs = DEFAULT_RETRY_MS;
  const hear = (reading: Reading | null): void => {
    if (signal.aborted) return;
    exchange.confirm(reading);
    progress.frames += 1;
  };
  const parser = createParser({
    onEvent(event) {
      if (event.event === STATUS_EVENT) hear(parseStreamData(event.data, event.id));
    },
    onComment() {
      hear(null);
    },
    onRetry(ms) {
      retryMs = Math.min(Math.max(ms, RETRY_BOUNDS_MS[0]), RETRY_BOUNDS_MS[1]);
    },
  });
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await deadline.race(reader.read());
    if (done) break;
    await exchange.http.confirmToken(deadline, STREAM_SILENCE_MS);
    parser.feed(decoder.decode(value, { stream: true }));
    if (progress.frames) deadline.arm(STREAM_SILENCE_MS);
  }
  if (!progress.frames) throw new StatusError('protocol', 'Empty stream.');
  return { kind: 'ended', retryMs, livedMs: clock.now() - startedAt };
}
