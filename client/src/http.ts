/** Requests with a bearer token and a time limit. The only module that calls `fetch`. */
import { Deadline } from './clock.js';
import { StatusError, toStatusError } from './errors.js';
import { httpError } from './protocol.js';
import type { Clock, ResponseLike, StatusClientOptions } from './types.js';

export type HttpOptions = Pick<StatusClientOptions, 'baseUrl' | 'getToken' | 'fetch'>;

export interface Call {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Until the handler is done; the handler may start it over with `deadline.arm`. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export interface Http {
  /** Sends a GET and hands the response to `handle`. Throws nothing but StatusError. */
  get<T>(call: Call, handle: (response: ResponseLike, deadline: Deadline) => Promise<T>): Promise<T>;
  /** Lets a token that was refused be tried again. */
  forgetRefusal(): void;
}

const NOT_REFUSED = Symbol('no token was refused');

export function createHttp(options: HttpOptions, clock: Clock): Http {
  let refused: unknown = NOT_REFUSED;

  async function currentToken(): Promise<string | null> {
    let token: string | null;
    try {
      token = (await options.getToken?.()) || null;
    } catch (cause) {
      throw new StatusError('token', 'getToken failed.', cause);
    }
    if (token === refused) throw new StatusError('unauthorized', 'Waiting for another token.');
    return token;
  }

  async function send(call: Call, deadline: Deadline): Promise<ResponseLike> {
    const token = await currentToken();
    // A token may take its time; a `fetch` that ignores its signal must not go out for someone who has left.
    if (deadline.signal.aborted) throw new Error('aborted');
    const headers: Record<string, string> = { ...call.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const baseUrl = typeof options.baseUrl === 'function' ? options.baseUrl() : options.baseUrl;
    const url = baseUrl.replace(/\/+$/, '') + call.path;
    // `cache` stays unset: React Native's polyfill would add `_=timestamp` to the address.
    const response = await (options.fetch ?? globalThis.fetch)(url, { headers, signal: deadline.signal });
    if (response.status === 401 || response.status === 403) refused = token;
    if (response.status !== 200 && response.status !== 304) {
      throw httpError(response.status, response.headers.get('Retry-After'), Date.now());
    }
    return response;
  }

  return {
    async get(call, handle) {
      const deadline = new Deadline(call.signal, clock);
      deadline.arm(call.limitMs);
      try {
        return await deadline.race(send(call, deadline).then((response) => handle(response, deadline)));
      } catch (thrown) {
        if (deadline.expired) throw new StatusError('timeout', 'No answer in time.', thrown);
        throw toStatusError(thrown);
      } finally {
        deadline.dispose();
      }
    },
    forgetRefusal() {
      refused = NOT_REFUSED;
    },
  };
}
