/** Requests with a bearer token and a time limit. The only module that calls `fetch`. */
import { Deadline } from './clock.js';
import { StatusError, toStatusError } from './errors.js';
import { isHeaders, toAddress } from './options.js';
import { httpError } from './protocol.js';
import type { Clock, StatusClientOptions } from './types.js';

export type HttpOptions = Pick<StatusClientOptions, 'baseUrl' | 'getToken' | 'headers' | 'fetch'>;
type Headers = Record<string, string>;

export interface Call {
  readonly path: string;
  readonly headers: Readonly<Headers>;
  /** Until the handler is done; the handler may start it over with `deadline.arm`. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export interface Http {
  /** Sends a GET and hands the response to `handle`. Throws nothing but StatusError. */
  get<T>(call: Call, handle: (response: Response, deadline: Deadline) => Promise<T>): Promise<T>;
  /** Asks for the token once more before something is made of an answer that may have been held for long. */
  stillSignedIn(): Promise<void>;
  /** Lets a token that was refused be tried again. */
  forgetRefusal(): void;
  /** Whether the last request left the page's origin. */
  readonly crossOrigin: boolean;
}

/** `more` under `own`: what this package sends itself cannot be replaced, in whatever case it is spelled. */
function merge(more: Headers, own: Headers): Headers {
  const taken = Object.keys(own).map((name) => name.toLowerCase());
  const kept = Object.entries(more).filter(([name]) => !taken.includes(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...own };
}

/** In a browser: whether the page is of another origin, and a request header costs a preflight. */
const isElsewhere = (address: string): boolean =>
  Boolean(globalThis.document) &&
  !address.startsWith('/') &&
  !`${address}/`.toLowerCase().startsWith(`${globalThis.location?.origin}/`);

/** By the server's own clock where it says the time: a phone's may be hours off. */
const wallNowMs = ({ headers }: Response): number => Date.parse(headers.get('Date') ?? '') || Date.now();

/** @param onSignOut Called when there was a token and there is none any more. */
export function createHttp(options: HttpOptions, clock: Clock, onSignOut: () => void): Http {
  let token: string | null = null;
  let refused: string | null = null;
  let crossOrigin = false;

  async function askToken(): Promise<void> {
    const before = token;
    try {
      token = (await options.getToken?.()) || null;
    } catch (cause) {
      throw new StatusError('token', 'getToken failed.', cause);
    }
    if (before && !token) onSignOut();
  }

  async function stillSignedIn(): Promise<void> {
    if (token) await askToken();
  }

  async function askOptions(): Promise<{ address: string; headers: Headers }> {
    const { baseUrl, headers } = options;
    try {
      const address = toAddress(await (typeof baseUrl === 'function' ? baseUrl() : baseUrl));
      const more = (await (typeof headers === 'function' ? headers() : headers)) ?? {};
      if (!isHeaders(more)) throw new TypeError('The option headers is unusable.');
      return { address, headers: more };
    } catch (cause) {
      throw new StatusError('config', `Nothing was sent. ${String(cause)}`, cause);
    }
  }

  async function send(call: Call, deadline: Deadline): Promise<Response> {
    await askToken();
    const { address, headers: more } = await askOptions();
    const credentials = JSON.stringify([token, more]);
    if (credentials === refused) throw new StatusError('unauthorized', 'Waiting for another token.');
    // A token may take its time; a `fetch` that ignores its signal must not go out for someone who has left.
    if (deadline.signal.aborted) throw new Error('aborted');
    const own: Headers = { ...call.headers };
    if (token) own.Authorization = `Bearer ${token}`;
    crossOrigin = isElsewhere(address);
    const init = { headers: merge(more, own), signal: deadline.signal };
    // `cache` stays unset: React Native's polyfill would add `_=timestamp` to the address.
    const response = await (options.fetch ?? globalThis.fetch)(address + call.path, init);
    // What was held for somebody who has signed out meanwhile is for nobody.
    await stillSignedIn();
    if (response.status === 401 || response.status === 403) refused = credentials;
    if (response.status !== 200 && response.status !== 304) {
      throw httpError(response.status, response.headers.get('Retry-After'), wallNowMs(response));
    }
    return response;
  }

  return {
    stillSignedIn,
    get crossOrigin() {
      return crossOrigin;
    },
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
      refused = null;
    },
  };
}
