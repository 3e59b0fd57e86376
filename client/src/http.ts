/** Requests with a bearer token and a time limit. The only module that calls `fetch`. */
import { ask } from './app-code.js';
import { Deadline } from './clock.js';
import { StatusError, toStatusError } from './errors.js';
import { toAddress, toHeaders } from './options.js';
import { lookAgainMs } from './pacing.js';
import { httpError } from './protocol.js';
import type { Awaitable, Clock, RequestHeaders, ResponseLike, StatusClientOptions } from './types.js';

/** For `getToken`, `baseUrl` and `headers`: a token that has to be fetched itself takes its time. */
const ASK_LIMIT_MS = 30_000;
/** An answer that comes as soon as this after its token is for whoever has just been asked for. */
const FRESH_MS = 100;
/** What was refused may have been a key that was being replaced. With the time till `getToken` is asked below five. */
const SAME_TOKEN_MINUTES = 4;

export type HttpOptions = Pick<StatusClientOptions, 'baseUrl' | 'caseId' | 'getToken' | 'headers' | 'fetch'>;

/** Who is signed in, as far as the app has said: one for a client and those of its cases. */
export interface Account {
  token: string | null;
  /** Called when there was a token and there is none any more. */
  readonly onSignOut: () => void;
}

export interface Call {
  readonly path: string;
  readonly headers: RequestHeaders;
  /** From sending until the handler is done; the handler may start it over with `deadline.arm`. */
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export interface Http {
  /** Sends a GET and hands the response to `handle`. Throws nothing but StatusError. */
  get<T>(call: Call, handle: (response: ResponseLike, deadline: Deadline) => Promise<T>): Promise<T>;
  /**
   * Asks for the token once more before something is made of what was held: whoever has signed out meanwhile is shown
   * nothing. Takes none of the deadline's time.
   */
  confirmToken(deadline: Deadline): Promise<void>;
  /** Lets a token that was refused be tried again. */
  forgetRefusal(): void;
  /** Whether the last request left the page's origin. */
  readonly crossOrigin: boolean;
}

/** `more` under `own`: what this package sends by itself cannot be replaced, in whatever case it is spelled. */
function merge(more: RequestHeaders, own: RequestHeaders): RequestHeaders {
  const taken = Object.keys(own).map((name) => name.toLowerCase());
  const kept = Object.entries(more).filter(([name]) => !taken.includes(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...own };
}

/** In a browser: whether that is another origin than the page's. */
const isElsewhere = (address: string): boolean =>
  Boolean(globalThis.document) &&
  !address.startsWith('/') &&
  !`${address}/`.toLowerCase().startsWith(`${globalThis.location?.origin}/`);

/** By the server's own clock where it says the time: a phone's may be hours off. */
const wallNowMs = ({ headers }: ResponseLike): number => Date.parse(headers.get('Date') ?? '') || Date.now();

/** An option, or what its function says now. */
const valueOf = <T>(option: T | (() => Awaitable<T>)): Awaitable<T> =>
  typeof option === 'function' ? (option as () => Awaitable<T>)() : option;

/** Credentials that were refused. */
interface Refusal {
  /** The token and the app's headers, in JSON. */
  readonly credentials: string;
  readonly error: StatusError;
  /** In a row, of these. */
  readonly count: number;
  /** Until then nothing is sent with them. */
  readonly retryAtMs: number;
}

/** The body is read only where it tells something: a portal's can be long. */
async function readError(response: ResponseLike): Promise<StatusError> {
  const { status, headers } = response;
  const contentType = headers.get('Content-Type');
  const tells = status === 401 || contentType?.includes('problem');
  const body = tells ? await response.text().catch(() => '-') : '-';
  const [challenge, retryAfter] = [headers.get('WWW-Authenticate'), headers.get('Retry-After')];
  return httpError({ status, contentType, challenge, retryAfter, body }, wallNowMs(response));
}

export function createHttp(options: HttpOptions, clock: Clock, account: Account): Http {
  let askedAtMs = 0;
  let refusal: Refusal | null = null;
  let crossOrigin = false;

  async function askToken(): Promise<string | null> {
    const token = (await ask(() => options.getToken?.(), 'token', 'getToken')) || null;
    const isSignOut = account.token && !token;
    askedAtMs = clock.now();
    account.token = token;
    if (isSignOut) account.onSignOut();
    return token;
  }

  async function confirmToken(deadline: Deadline): Promise<void> {
    if (!account.token || clock.now() < askedAtMs + FRESH_MS) return;
    const { leftMs } = deadline;
    deadline.arm(ASK_LIMIT_MS, 'token');
    await deadline.race(askToken());
    deadline.arm(leftMs);
  }

  async function askApp(): Promise<{ address: string; headers: RequestHeaders }> {
    const token = await askToken();
    const address = await ask(async () => toAddress(await valueOf(options.baseUrl), options), 'config', 'baseUrl');
    const askHeaders = async (): Promise<RequestHeaders> => {
      const headers = toHeaders((await valueOf(options.headers)) ?? {});
      return token ? merge(headers, toHeaders({ Authorization: `Bearer ${token}` })) : headers;
    };
    return { address, headers: await ask(askHeaders, 'config', 'headers') };
  }

  async function send(call: Call, address: string, app: RequestHeaders, deadline: Deadline): Promise<ResponseLike> {
    const init = { headers: merge(app, call.headers), signal: deadline.signal };
    crossOrigin = isElsewhere(address);
    // `cache` stays unset: React Native's polyfill would add `_=timestamp` to the address.
    const response = await (options.fetch ?? globalThis.fetch)(address + call.path, init);
    if (deadline.signal.aborted) throw new Error('aborted');
    await confirmToken(deadline);
    if (response.status === 200 || response.status === 304) {
      refusal = null;
      return response;
    }
    const error = await readError(response);
    if (error.code === 'unauthorized') {
      const credentials = JSON.stringify(app);
      const count = refusal?.credentials === credentials ? refusal.count + 1 : 0;
      refusal = { credentials, error, count, retryAtMs: clock.now() + lookAgainMs(count, SAME_TOKEN_MINUTES) };
    }
    throw error;
  }

  return {
    confirmToken,
    get crossOrigin() {
      return crossOrigin;
    },
    async get(call, handle) {
      const deadline = new Deadline(call.signal, clock);
      const work = async (): ReturnType<typeof handle> => {
        const { address, headers } = await askApp();
        if (refusal?.credentials === JSON.stringify(headers) && clock.now() < refusal.retryAtMs) throw refusal.error;
        // That may have taken its time; a `fetch` that ignores its signal must not go out for someone who has left.
        if (deadline.signal.aborted) throw new Error('aborted');
        deadline.arm(call.limitMs);
        return handle(await send(call, address, headers, deadline), deadline);
      };
      deadline.arm(ASK_LIMIT_MS, 'token');
      try {
        return await deadline.race(work());
      } catch (thrown) {
        if (deadline.expired) throw new StatusError(deadline.code, 'No answer in time.', thrown);
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
