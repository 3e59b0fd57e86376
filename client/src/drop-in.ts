/**
 * The drop-in for an app that already has an `apiService`.
 *
 * Its calls stay as they are; one import and one line make them work:
 *
 * ```js
 * import { withStorageStatus } from 'blob-status-client';
 * withStorageStatus(apiService);
 * ```
 */
import { createStatusClient } from './client.js';
import { checkOptions } from './options.js';
import { DEFAULT_INTERVAL_MS } from './pacing.js';
import type {
  CaseOptions,
  StatusClient,
  StatusClientOptions,
  StatusListener,
  StorageStatus,
  Transport,
  Unsubscribe,
} from './types.js';

/** The user's own object. Read at each request, so that a new token or another server is followed. */
export interface ApiService {
  /** Host, without a scheme (`https` is assumed). With a scheme it is taken as it is. */
  baseUrl: string;
  /** From the host to the API, such as `/api`; joined by one slash. */
  basePath: string;
  accessToken?: string | null | undefined;
}

/** Stops when it is called; awaited, or by `then`, it yields a plain function that does. */
export type StopPolling = Unsubscribe & Pick<Promise<Unsubscribe>, 'then' | 'catch' | 'finally'>;

/** What {@link withStorageStatus} adds. */
export interface StorageStatusMethods {
  /** Long poll. `intervalMs` is the least time between answers that the server did not hold. */
  startLongPolling(
    onStatusUpdate: (status: StorageStatus) => void,
    intervalMs?: number,
    options?: CaseOptions,
  ): StopPolling;
  /** Server-Sent Events, with long poll where they do not get through. */
  subscribeToStorageStatus(onStatusUpdate: (status: StorageStatus) => void, options?: CaseOptions): Unsubscribe;
  /** Another account: clears the numbers of all of them, also of all cases, and asks again. */
  resetStorageStatus(): void;
}

/** What the poller's callback gets: the same status as everywhere, and the body's members on it. */
export interface PolledStatus extends StorageStatus {
  readonly success: true;
  readonly data: {
    readonly queued_count: number;
    readonly input_count: number;
    readonly output_count: number;
    readonly timestamp: string;
    readonly version: string | null;
    /** Of each further folder that the server counts. */
    readonly [count: `${string}_count`]: number;
  };
}

export type DropInOptions = Omit<StatusClientOptions, 'baseUrl' | 'getToken' | 'transport'>;

interface Attached {
  /** Of the first `withStorageStatus`, or none when a client was made before that. */
  readonly options: DropInOptions;
  readonly clients: Map<Transport, StatusClient>;
}

const attached = new WeakMap<ApiService, Attached>();
/** The surroundings' own, under those of `withStorageStatus`. */
let defaults: DropInOptions = {};

function attach(apiService: ApiService, options: DropInOptions): Attached {
  const known = attached.get(apiService) ?? { options, clients: new Map() };
  attached.set(apiService, known);
  return known;
}

/** What all clients of the drop-in are made with where `withStorageStatus` does not say otherwise. */
export function setDefaults(options: DropInOptions): void {
  defaults = options;
}

/** Exactly one slash between host and path: without it the path would go on with the host's name. */
function addressOf({ baseUrl, basePath }: ApiService): string {
  if (typeof baseUrl !== 'string') return baseUrl; // which is refused, with its name
  const scheme = /^https?:\/\//i.test(baseUrl) ? '' : 'https://';
  return (scheme + baseUrl).replace(/\/+$/, '') + `/${basePath ?? ''}`.replace(/^\/+/, '/');
}

/** The client behind an `apiService`: one for each transport and case, shared by all that use the object. */
export function clientFor(
  apiService: ApiService,
  transport: Transport = 'long-poll',
  caseId?: CaseOptions['caseId'],
): StatusClient {
  const { clients, options } = attach(apiService, {});
  let client = clients.get(transport);
  if (!client) {
    client = createStatusClient({
      ...defaults,
      ...options,
      transport,
      baseUrl: () => addressOf(apiService),
      getToken: () => apiService.accessToken,
    });
    clients.set(transport, client);
  }
  return caseId == null ? client : client.forCase(caseId);
}

const listener =
  (onStatusUpdate: (status: StorageStatus) => void): StatusListener =>
  (status) =>
    onStatusUpdate?.(status);

/** As the promise of a stop function that it replaces, and as the stop function. */
function stopPolling(stop: Unsubscribe): StopPolling {
  // Another function without `then`, or awaiting it would never end.
  const promise = Promise.resolve((): void => stop());
  return Object.assign((): void => stop(), {
    then: promise.then.bind(promise),
    catch: promise.catch.bind(promise),
    finally: promise.finally.bind(promise),
  });
}

function isSame(one: DropInOptions, other: DropInOptions): boolean {
  const names = Object.keys({ ...one, ...other }) as (keyof DropInOptions)[];
  return names.every((name) => Object.is(one[name], other[name]));
}

/**
 * Adds `startLongPolling`, `subscribeToStorageStatus` and `resetStorageStatus` to `apiService`, in place of any it has,
 * and returns it.
 *
 * The first call's options count, if it comes before the object is used; later ones that differ change nothing, which
 * `console.error` says.
 *
 * @throws TypeError that names the option, when one is nonsense.
 */
export function withStorageStatus<T extends ApiService>(
  apiService: T,
  options: DropInOptions = {},
): T & StorageStatusMethods {
  checkOptions(options);
  const known = attach(apiService, options);
  if (!isSame(known.options, options)) {
    console.error('withStorageStatus: these options change nothing; others, or a use without any, came first.');
  }
  const methods: StorageStatusMethods = {
    startLongPolling: (onStatusUpdate, intervalMs, more) =>
      stopPolling(clientFor(apiService, 'long-poll', more?.caseId).subscribe(listener(onStatusUpdate), { intervalMs })),
    subscribeToStorageStatus: (onStatusUpdate, more) =>
      clientFor(apiService, 'sse', more?.caseId).subscribe(listener(onStatusUpdate)),
    resetStorageStatus() {
      for (const client of known.clients.values()) client.reset();
    },
  };
  return Object.assign(apiService, methods);
}

/** Smart polling: one conditional GET every `intervalMs`, the ETag remembered, also over `stop` and `start`. */
export class StorageStatusPoller {
  /**
   * The entity tag of the last update, as the server quotes it. It may be set: an update comes with the next answer
   * that has another one, so `null` asks for one, and one that was kept from an earlier run spares the first.
   */
  lastETag: string | null = null;
  private updatedETag: string | null = null;
  private end: Unsubscribe | null = null;

  constructor(
    readonly apiService: ApiService,
    private readonly options?: CaseOptions,
  ) {}

  /** Asks at once and then every `intervalMs`. Starting again replaces the callback and the interval. */
  start(onUpdate: (status: PolledStatus) => void, intervalMs: number = DEFAULT_INTERVAL_MS): void {
    this.stop();
    /** A new callback is told what is known already, unless the app says by its own ETag that it has that. */
    let isNew = this.lastETag === this.updatedETag;
    this.end = clientFor(this.apiService, 'poll', this.options?.caseId).subscribe(
      (status, { version }) => {
        const etag = version && `"${version}"`;
        if (etag && etag === this.lastETag && !isNew) return;
        isNew = false;
        this.lastETag = this.updatedETag = etag;
        const { queued, processing, completed, extra, timestamp } = status;
        const further = Object.entries(extra ?? {}).map(([name, count]) => [`${name}_count`, count] as const);
        const counts = { queued_count: queued, input_count: processing, output_count: completed };
        const data = { ...counts, ...Object.fromEntries(further), timestamp, version };
        onUpdate({ ...status, success: true, data });
      },
      { intervalMs, everyAnswer: true },
    );
  }

  stop(): void {
    this.end?.();
    this.end = null;
  }
}
