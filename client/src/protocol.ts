/** The wire: names, shapes and what each answer means. Pure; the contract is `docs/protocol.md`. */
import { StatusError, type StatusErrorCode } from './errors.js';
import type { StorageStatus } from './types.js';

export const STATUS_PATH = '/cases/storage/status';
export const STREAM_PATH = `${STATUS_PATH}/stream`;
export const STATUS_EVENT = 'status_update';

/** The server sends a comment every 15 s: two missed and some slack mean that the stream is dead. */
export const STREAM_SILENCE_MS = 35_000;
/** A `Retry-After` above this is a mistake or an attack on the user's patience. */
export const MAX_RETRY_AFTER_MS = 5 * 60_000;

/** A status and the version that names it. */
export interface Reading {
  readonly status: StorageStatus;
  /** Opaque; compared by inequality only. Without one from the server it is made of the numbers. */
  readonly version: string;
  /** The version, if the server knows it too, so that it can be sent back; else `null`. */
  readonly validator: string | null;
}

type Wire = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Wire => typeof value === 'object' && value !== null;

function broken(what: string): StatusError {
  return new StatusError('protocol', `${what}: is a proxy or a portal answering?`);
}

/** `undefined` for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function reading(wire: unknown, names: readonly [string, string, string], fallbackVersion: string | null): Reading {
  if (!isObject(wire)) throw broken('Not a storage status');
  const [queued, processing, completed] = names.map((name) => {
    const count = wire[name];
    if (typeof count === 'number' && Number.isFinite(count) && count >= 0) return count;
    throw broken(`No usable ${name}`);
  }) as [number, number, number];
  const timestamp = typeof wire.timestamp === 'string' ? wire.timestamp : '';
  const validator = typeof wire.version === 'string' && wire.version ? wire.version : fallbackVersion;
  return {
    status: { queued, processing, completed, timestamp },
    version: validator ?? `${queued}/${processing}/${completed}/${timestamp}`,
    validator,
  };
}

/**
 * Reads the JSON body of a 200.
 *
 * The version in the body wins over the ETag: proxies weaken, rewrite and strip ETags, and browsers hide them.
 */
export function parseStatus(text: string, etag: string | null): Reading {
  const body = parseJson(text);
  return reading(
    isObject(body) && body.success === true ? body.data : null,
    ['queued_count', 'input_count', 'output_count'],
    opaqueTag(etag),
  );
}

/** Reads the data of one `status_update` event; `id` is its version. */
export function parseStreamData(data: string, id: string | undefined): Reading {
  return reading(parseJson(data), ['queued', 'processing', 'completed'], id || null);
}

/** `W/"abc"` → `abc`; `null` for what is not an entity tag. */
export function opaqueTag(etag: string | null): string | null {
  return /^\s*(?:W\/)?"([^"]+)"\s*$/.exec(etag ?? '')?.[1] ?? null;
}

/** Seconds or an HTTP date, as milliseconds from `wallNowMs`; `null` when absent or unusable. */
export function parseRetryAfter(value: string | null, wallNowMs: number): number | null {
  if (!value?.trim()) return null;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(value) - wallNowMs;
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS) : null;
}

/** The `code` of this API's problem document; `null` for any other body, such as a proxy's. */
export function problemCode(text: string): string | null {
  const body = parseJson(text);
  return isObject(body) && body.success === false && typeof body.code === 'string' ? body.code : null;
}

/** What a status other than 200 and 304 means. 404 is retried: a cold or just deployed function app answers it. */
export function httpError(
  status: number,
  retryAfter: string | null,
  wallNowMs: number,
  problem: string | null = null,
): StatusError {
  const retryAfterMs = parseRetryAfter(retryAfter, wallNowMs);
  const [code, message]: [StatusErrorCode, string] =
    status === 401 || status === 403
      ? ['unauthorized', 'The token was refused']
      : status === 400 || status === 405
        ? ['rejected', 'Check baseUrl and versions: the request was rejected']
        : ['http', 'No status'];
  return new StatusError(code, `${message} (${status}).`, undefined, status, retryAfterMs, problem);
}
