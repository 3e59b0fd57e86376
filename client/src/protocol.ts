/** The wire: names, shapes and what each answer means. Pure; the contract is `docs/protocol.md`. */
import { StatusError, type StatusErrorCode } from './errors.js';
import type { StorageStatus } from './types.js';

/** Below the API's address: the status of all images, or of one case. Its stream is below that. */
export const statusPath = (caseId: string | null | undefined): string =>
  `/cases/${caseId ? `${encodeURIComponent(caseId)}/` : ''}storage/status`;
export const STREAM_PATH = '/stream';
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
  /** The version, if the server knows it too and it can be sent back; else `null`. */
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

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** What every request can carry, quoted in a header or not: the server takes 4,096 characters, with the quotes. */
const isValidator = (version: unknown): version is string =>
  typeof version === 'string' && /^[\x21\x23-\x7e]{1,4094}$/.test(version);

/** What a folder beside the three may be called. */
const NAME = /^[a-z][a-z0-9_]*$/;

function reading(
  wire: unknown,
  names: readonly [string, string, string],
  suffix: '_count' | '',
  fallbackVersion: string | null | undefined,
): Reading {
  if (!isObject(wire)) throw broken('Not a storage status');
  const [queued, processing, completed] = names.map((name) => {
    const count = wire[name];
    if (isCount(count)) return count;
    throw broken(`No usable ${name}`);
  }) as [number, number, number];
  const others = [...names, 'timestamp', 'version'];
  const further = Object.entries(wire).flatMap(([field, count]) => {
    const name = field.slice(0, field.length - suffix.length);
    const isFurther = field.endsWith(suffix) && NAME.test(name) && !others.includes(field);
    return isFurther && isCount(count) ? [[name, count] as const] : [];
  });
  const timestamp = typeof wire.timestamp === 'string' ? wire.timestamp : '';
  const validator = [wire.version, fallbackVersion].find(isValidator) ?? null;
  return {
    status: { queued, processing, completed, ...(further.length && { extra: Object.fromEntries(further) }), timestamp },
    version: validator ?? [queued, processing, completed, ...further.flat(), timestamp].join('/'),
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
    '_count',
    opaqueTag(etag),
  );
}

/** Reads the data of one `status_update` event; `id` is its version. */
export function parseStreamData(data: string, id: string | undefined): Reading {
  return reading(parseJson(data), ['queued', 'processing', 'completed'], '', id);
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

/** What is read of an answer other than 200 and 304. */
export interface ErrorAnswer {
  readonly status: number;
  readonly contentType: string | null;
  /** `WWW-Authenticate`. */
  readonly challenge: string | null;
  readonly retryAfter: string | null;
  readonly body: string;
}

/** The statuses of this API's own errors. Others come from what stands before it, whatever they look like. */
const API_STATUSES = [400, 401, 403, 404, 405, 500, 503];
/** Nobody has heard of this case yet: the one 404 of this API. */
export const CASE_UNKNOWN = 'case-unknown';
/** The token is none for these numbers. */
export const CASE_NOT_PERMITTED = 'case-not-permitted';

/** The `code` of this API's problem document; `''` when it has none, `null` for somebody else's answer. */
function problemCode({ status, contentType, body }: ErrorAnswer): string | null {
  if (!API_STATUSES.includes(status) || !/^application\/problem\+json\b/i.test(contentType ?? '')) return null;
  const problem = parseJson(body);
  if (!isObject(problem) || problem.success !== false) return null;
  const code = typeof problem.code === 'string' ? problem.code : '';
  return status === 404 && code !== CASE_UNKNOWN ? null : code;
}

/**
 * What a status other than 200 and 304 means. Each is retried: portals, firewalls and gateways refuse in passing,
 * and a cold or just deployed function app answers 404.
 *
 * A token was refused by this API, by whoever says how to authenticate, or by the platform, whose 401 is empty.
 */
export function httpError(answer: ErrorAnswer, wallNowMs: number): StatusError {
  const { status, challenge, body } = answer;
  const problem = problemCode(answer);
  const isOwn = problem !== null;
  const isUnauthorized =
    status === 401 ? isOwn || challenge !== null || body === '' : status === 403 && (isOwn || challenge !== null);
  const [code, message]: [StatusErrorCode, string] = isUnauthorized
    ? ['unauthorized', 'The token was refused']
    : isOwn && status < 500 && problem !== CASE_UNKNOWN
      ? ['rejected', 'Check baseUrl and versions: the request was rejected']
      : ['http', 'No status'];
  const retryAfterMs = parseRetryAfter(answer.retryAfter, wallNowMs);
  return new StatusError(code, `${message} (${status}).`, undefined, status, retryAfterMs, problem);
}

/** Whether this failure is an answer of the API, or of whoever guards it: then there is a network. */
export const isAnswered = ({ code, problem }: StatusError): boolean => code === 'unauthorized' || problem !== null;

/**
 * Whether a held request that failed like this may have been cut by what stands between this client and the API: not
 * when it is the API's own answer, and not when somebody asks for patience.
 */
export const mayBeCut = ({ code, httpStatus, problem, retryAfterMs }: StatusError): boolean =>
  ['network', 'timeout', 'http', 'protocol'].includes(code) && problem === null && httpStatus !== 429 && !retryAfterMs;
