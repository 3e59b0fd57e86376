/** Requests with a bearer token and a time limit. The only module that calls `fetch`. */
import { ask } from './app-code.js';
import { Deadline } from './clock.js';
import { StatusError, type StatusErrorCode, toStatusError } from './errors.js';
import { lookAgainMs } from './pacing.js';
import { httpError } from './protocol.js';
import type { Clock, StatusClientOptions } from './types.js';

/** For `getToken` and `baseUrl`: a token that has to be fetched itself takes its time. */
const ASK_LIMIT_MS = 30_000;
/** What was refused may have been a key that was being replaced. With the time till `getToken` is asked below five. */
const SAME_TOKEN_MINUTES = 4;

export type HttpOptions = Pick<StatusClientOptions, 'baseUrl' | 'getToken' | 'fetch'>;

export interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** From sending until the handler is done; the handler may start it over with `deadline.arm`. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export interface Http {
  /** Sends a GET and hands the response to `handle`. Throws nothing but StatusError. */
  get<T>(call: Call, handle: (response: Response, deadline: Deadline) => Promise<T>): Promise<T>;
  /** Lets a token that was refused be tried again. */
  forgetRefusal(): void;
}

/** A token that was refused; `null` when that was a request without one. */
interface Refusal {
  readonly token: string | null;
  readonly error: StatusError;
  /** In a row, of this token. */
  readonly count: number;
  /** Until then nothing is sent with it. */
  readonly retryAtMs: number;
}

/** The body is read only where it tells something: a portal's can be long. */
async function readError(response: Response): Promise<StatusError> {
  const { status, headers } = response;
  const contentType = headers.get('Content-Type');
  const tells = status === 401 || contentType?.includes('problem');
  const body = tells ? await response.text().catch(() => '-') : '-';
  const [challenge, retryAfter] = [headers.get('WWW-Authenticate'), headers.get('Retry-After')];
  return httpError({ status, contentType, challenge, retryAfter, body }, Date.now());
}

export function createHttp(options: HttpOptions, clock: Clock): Http {
  let refusal: Refusal | null = null;

  async function currentToken(): Promise<string | null> {
    const token = (await ask(() => options.getToken?.(), 'token', 'getToken')) || null;
    if (refusal?.token === token && clock.now() < refusal.retryAtMs) throw refusal.error;
    return token;
  }

  function currentUrl(path: string): Promise<string> {
    const { baseUrl } = options;
    const join = async (): Promise<string> => {
      const root = await (typeof baseUrl === 'function' ? baseUrl() : baseUrl);
      return root.replace(/\/+$/, '') + path;
    };
    return ask(join, 'config', 'baseUrl');
  }

  async function send(url: string, token: string | null, call: Call, signal: AbortSignal): Promise<Response> {
    const headers: Record<string, string> = { ...call.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    // `cache` stays unset: React Native's polyfill would add `_=timestamp` to the address.
    const response = await (options.fetch ?? globalThis.fetch)(url, { headers, signal });
    if (signal.aborted) throw new Error('aborted');
    if (response.status === 200 || response.status === 304) {
      refusal = null;
      return response;
    }
    const error = await readError(response);
    if (error.code === 'unauthorized') {
      const count = refusal?.token === token ? refusal.count + 1 : 0;
      refusal = { token, error, count, retryAtMs: clock.now() + lookAgainMs(count, SAME_TOKEN_MINUTES) };
    }
    throw error;
  }

  return {
    async get(call, handle) {
      const deadline = new Deadline(call.signal, clock);
      let late: StatusErrorCode = 'token';
      const work = async (): ReturnType<typeof handle> => {
        const token = await currentToken();
        const url = await currentUrl(call.path);
        // That may have taken its time; a `fetch` that ignores its signal must not go out for someone who has left.
        if (deadline.signal.aborted) throw new Error('aborted');
        late = 'timeout';
        deadline.arm(call.limitMs);
        return handle(await send(url, token, call, deadline.signal), deadline);
      };
      deadline.arm(ASK_LIMIT_MS);
      try {
        return await deadline.race(work());
      } catch (thrown) {
        if (deadline.expired) throw new StatusError(late, 'No answer in time.', thrown);
        throw toStatusError(thrown);
      } finally {
        deadline.dispose();
      }
    },
    forgetRefusal() {
      refusal = null;
    },
  };
}
