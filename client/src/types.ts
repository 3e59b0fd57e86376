import type { StatusError } from './errors.js';

/** What every listener receives. */
export interface StorageStatus {
  /** Images waiting (`queued`). */
  readonly queued: number;
  /** Images being processed (`input`). */
  readonly processing: number;
  /** Images completed (`output`). */
  readonly completed: number;
  /** Images in each further folder that the server counts (`EXTRA_FOLDERS`), by its name; absent without any. */
  readonly extra?: Readonly<Record<string, number>>;
  /**
   * When a count last changed, as the server says it: ISO 8601, UTC. Empty while nothing has changed yet, which only a
   * case can say.
   */
  readonly timestamp: string;
}

/**
 * How true the numbers are right now.
 *
 * - `connecting`: started, no answer yet.
 * - `live`: the last exchange succeeded and the next one is under way.
 * - `stale`: numbers are known, but the last attempt failed; retrying.
 * - `offline`: the device says that it has no network; a plain request looks after 1, 2, 4 and every 5 minutes.
 * - `stopped`: nothing is sent; {@link StatusSnapshot.reason} says why.
 */
export type ConnectionState = 'connecting' | 'live' | 'stale' | 'offline' | 'stopped';

/**
 * Why a client is `stopped`.
 *
 * - `idle`: nobody listens. `background`: the app is not visible. `closed`: `close()` was called.
 * - `unauthorized`: the token was refused; goes on when `getToken` yields another, and tries this one again every few
 *   minutes.
 */
export type StopReason = 'idle' | 'background' | 'closed' | 'unauthorized';

/** How status travels. */
export type Transport = 'long-poll' | 'sse' | 'poll';

/** Everything a view needs; the same object until something in it changes. */
export interface StatusSnapshot {
  /** The last known numbers, kept while stale, offline or stopped; `null` before the first answer of who is signed in. */
  readonly status: StorageStatus | null;
  readonly state: ConnectionState;
  /** Set only while `state` is `stopped`. */
  readonly reason: StopReason | null;
  /** The last failure; `null` again with the next success. */
  readonly error: StatusError | null;
  /** The transport in use, after any fallback. */
  readonly transport: Transport;
}

export type StatusListener = (status: StorageStatus, meta: { readonly version: string | null }) => void;

/** Ends a subscription. Calling it again does nothing; nothing is delivered after the first call. */
export type Unsubscribe = () => void;

export interface SubscribeOptions {
  /**
   * Poll period, and the least time between two answers that were not held, in milliseconds.
   * The smallest among a client's listeners counts. Wins over the client's option.
   */
  readonly intervalMs?: number | undefined;
  /** Calls the listener with every answer, also when nothing has changed. Default `false`. */
  readonly everyAnswer?: boolean | undefined;
}

/** Tells whether the app is in use. Calls back at once when it already knows, then at each change. */
export interface ActivitySource {
  subscribe(onChange: (active: boolean) => void): Unsubscribe;
}

export interface NetworkState {
  readonly online: boolean;
  /** `wifi`, `cellular`, … ; `null` when unknown. */
  readonly type: string | null;
}

/** Tells how the device is connected. Calls back at once when it already knows, then at each change. */
export interface NetworkSource {
  subscribe(onChange: (network: NetworkState) => void): Unsubscribe;
}

/** The part of `fetch` that is used. Every browser's, Node's, React Native's, `expo/fetch` and `undici` fit. */
export type FetchLike = (
  url: string,
  init: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
) => Promise<ResponseLike>;

export interface StreamChunk {
  readonly done: boolean;
  readonly value?: Uint8Array | undefined;
}

/** The part of a `Response` that is used. */
export interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** Without a stream of bytes there is no SSE, and long poll serves. */
  readonly body?: { getReader?(): { read(): Promise<StreamChunk> } } | null | undefined;
  text(): Promise<string>;
}

export type Awaitable<T> = T | Promise<T>;

export type RequestHeaders = Readonly<Record<string, string>>;

/** Which images are counted. */
export interface CaseOptions {
  /**
   * The id of a case; counts only this case's images. Default: all images.
   *
   * It goes into the path as it stands, so ids that differ in one byte are two cases. Not empty, and neither `.` nor
   * `..`, which no path can carry.
   */
  readonly caseId?: string | null | undefined;
}

export interface StatusClientOptions extends CaseOptions {
  /** Where the API lives, up to and without `/cases/storage/status`. A function is asked before each request. */
  readonly baseUrl: string | (() => Awaitable<string>);
  /**
   * Bearer token, asked for before each request and again at its answer. `null` sends none; `null` after a token is a
   * sign-out, which clears the numbers of the client and of its cases. Nothing asks while nobody listens: call
   * {@link StatusClient.reset} at a sign-out.
   */
  readonly getToken?: (() => Awaitable<string | null | undefined>) | undefined;
  /** Sent with each request, such as `x-functions-key`. A function is asked before each request. */
  readonly headers?: RequestHeaders | (() => Awaitable<RequestHeaders>) | undefined;
  /** Default `auto`: SSE in a browser, long poll elsewhere. */
  readonly transport?: 'auto' | Transport | undefined;
  /** Default: the global `fetch`, looked up at each request. */
  readonly fetch?: FetchLike | undefined;
  /** Poll period in milliseconds, unless a listener has its own. Default: 2000 on Wi-Fi, 5000 elsewhere, 3000 if unknown. */
  readonly intervalMs?: number | undefined;
  /** How long the server is asked to hold a long poll, in seconds. Default 25, below an app's usual 30 s timeout. */
  readonly waitSeconds?: number | undefined;
  /** Default: page visibility in a browser, always active elsewhere. `null`: always active. */
  readonly activity?: ActivitySource | null | undefined;
  /** Default: `online`/`offline` events in a browser, always online elsewhere. `null`: always online. */
  readonly network?: NetworkSource | null | undefined;
  /**
   * Called with every failure, also those that are retried, and with what other callbacks throw. For logs; the
   * snapshot carries the last failure.
   */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Default: the system's. Tests inject their own. */
  readonly clock?: Clock | undefined;
  /** Uniform in [0, 1). Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** Time, injectable. `now` is in milliseconds and need not be wall time. */
export interface Clock {
  now(): number;
  /** Calls `run` once after `delayMs`; the result cancels. */
  schedule(run: () => void, delayMs: number): () => void;
}

/** One connection, any number of listeners. */
export interface StatusClient {
  /** Calls `listener` with the current status (when it is live) and with every change until unsubscribed. */
  subscribe(this: void, listener: StatusListener, options?: SubscribeOptions): Unsubscribe;
  /** Calls `onChange` whenever {@link StatusClient.getSnapshot} would return something new. Keeps the connection up, as `subscribe` does. */
  watch(this: void, onChange: () => void): Unsubscribe;
  getSnapshot(this: void): StatusSnapshot;
  /**
   * The client of a case, with the same options: the same one for the same id, also from another case's client, with
   * its own numbers, connection and listeners. {@link StatusClient.refresh}, `reset` and `close` of this client go for
   * those of its cases as well; a sign-out is one for all of them.
   *
   * @throws TypeError when the id cannot be sent.
   */
  forCase(this: void, caseId: string): StatusClient;
  readonly state: ConnectionState;
  /** The version of the last known status; what the ETag quotes. */
  readonly version: string | null;
  /** Milliseconds since the last answer, also one without news, by this device's clock; `null` before the first. */
  readonly answerAgeMs: number | null;
  /** Tries again now: forgets backoff, a refused token and what was learnt about the path; looks also when `offline`. */
  refresh(this: void): void;
  /** Another account: drops what is held, clears the numbers, and asks again. */
  reset(this: void): void;
  /** Stops and lets go of every listener. Whoever subscribes or watches after that opens the client again. */
  close(this: void): void;
}
