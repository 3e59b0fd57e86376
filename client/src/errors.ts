/**
 * What went wrong, by what to do about it.
 *
 * - `network`: no answer (refused, reset, cut off). Retried.
 * - `timeout`: no answer in time. Retried.
 * - `http`: another status (404 of a cold app or of a case nobody knows yet, 429, 5xx, a portal's or gateway's 403).
 *   Retried.
 * - `protocol`: an answer that is not this API's (a captive portal, a broken proxy). Retried.
 * - `token`: `getToken` threw or took too long. Retried.
 * - `config`: `baseUrl` or `headers` threw, or gave what cannot be used; nothing was sent. Retried.
 * - `unauthorized`: the token was refused (401, 403). Waits for another; the same one is retried every few minutes.
 * - `rejected`: this API's own 400 or 405. Retried, but check `baseUrl` and the versions of both sides.
 */
export type StatusErrorCode =
  | 'network'
  | 'timeout'
  | 'http'
  | 'protocol'
  | 'token'
  | 'config'
  | 'unauthorized'
  | 'rejected';

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
    /** The `code` of this API's own problem document, such as `counts-not-ready`; `null` for any other failure. */
    readonly problem: string | null = null,
  ) {
    super(message);
  }
}

/** Any thrown value as a StatusError. */
export function toStatusError(thrown: unknown): StatusError {
  if (thrown instanceof StatusError) return thrown;
  // Not everything that can be thrown can be made a string of.
  const detail = thrown instanceof Error ? `: ${thrown.message}` : '';
  return new StatusError('network', `No answer${detail}.`, thrown);
}
