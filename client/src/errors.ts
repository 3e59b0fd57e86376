/**
 * What went wrong, by what to do about it.
 *
 * - `network`: no answer (refused, reset, cut off). Retried.
 * - `timeout`: no answer in time. Retried.
 * - `http`: a status that may pass (404 of a cold app, 429, 5xx). Retried.
 * - `protocol`: an answer that is not this API's (a captive portal, a broken proxy). Retried.
 * - `token`: `getToken` threw. Retried.
 * - `unauthorized`: 401 or 403. Waits for another token.
 * - `rejected`: 400 or 405. Not retried: check `baseUrl` and the versions of both sides.
 */
export type StatusErrorCode = 'network' | 'timeout' | 'http' | 'protocol' | 'token' | 'unauthorized' | 'rejected';

export class StatusError extends Error {
  override readonly name = 'StatusError';

  constructor(
    readonly code: StatusErrorCode,
    message: string,
    override readonly cause?: unknown,
    /** The HTTP status, where there was one. */
    readonly httpStatus: number | null = null,
    /** What the server asked for with `Retry-After`, in milliseconds. */
    readonly retryAfterMs: number | null = null,
    /** The `code` of the API's own problem document, such as `counts-not-ready`; else `null`. */
    readonly problem: string | null = null,
  ) {
    super(message);
  }
}

/** Any thrown value as a StatusError. */
export function toStatusError(thrown: unknown): StatusError {
  if (thrown instanceof StatusError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new StatusError('network', `No answer: ${detail}`, thrown);
}
