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
import { DEFAULT_INTERVAL_MS } from './pacing.js';
import type {
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
  /** From the host to the API, such as `/api`. */
  basePath: string;
  accessToken?: string | null | undefined;
}

/** What {@link withStorageStatus} adds. */
export interface StorageStatusMethods {
  /** Long poll. `intervalMs` is the least time between answers that the server did not hold. */
  startLongPolling(onStatusUpdate: (status: StorageStatus) => void, intervalMs?: number): Unsubscribe;
  /** Server-Sent Events, with long poll where they do not get through. */
  subscribeToStorageStatus(onStatusUpdate: (status: StorageStatus) => void): Unsubscribe;
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
  };
}

export type DropInOptions = Omit<StatusClientOptions, 'baseUrl' | 'getToken' | 'transport'>;

interface Attached {
  options: DropInOptions | null;
  readonly clients: Map<Transport, StatusClient>;
}

const attached = new WeakMap<ApiService, Attached>();

function attach(apiService: ApiService): Attached {
  const known = attached.get(apiService) ?? { options: null, clients: new Map() };
  attached.set(apiService, known);
  return known;
}

/** Sets what the clients of `apiService` are made with, unless that has been said already. */
export function attachDefaults(apiService: ApiService, options: DropInOptions): void {
  attach(apiService).options ??= options;
}

/** The client behind an `apiService`: one for each transport, shared by all that use the object. */
export function clientFor(apiService: ApiService, transport: Transport = 'long-poll'): StatusClient {
  const { clients, options } = attach(apiService);
  const known = clients.get(transport);
  if (known) return known;
  const client = createStatusClient({
    ...options,
    transport,
    baseUrl: () => {
      const { baseUrl, basePath = '' } = apiService;
      return (/^https?:\/\//i.test(baseUrl) ? '' : 'https://') + baseUrl + basePath;
    },
    getToken: () => apiService.accessToken,
  });
  clients.set(transport, client);
  return client;
}

const listener =
  (onStatusUpdate: (status: StorageStatus) => void): StatusListener =>
  (status) =>
    onStatusUpdate?.(status);

/**
 * Adds `startLongPolling` and `subscribeToStorageStatus` to `apiService`, in place of any it has, and returns it.
 *
 * Both return their stop function at once; awaiting it works too.
 */
export function withStorageStatus<T extends ApiService>(
  apiService: T,
  options: DropInOptions = {},
): T & StorageStatusMethods {
  attach(apiService).options = options;
  const methods: StorageStatusMethods = {
    startLongPolling: (onStatusUpdate, intervalMs) =>
      clientFor(apiService, 'long-poll').subscribe(listener(onStatusUpdate), { intervalMs }),
    subscribeToStorageStatus: (onStatusUpdate) => clientFor(apiService, 'sse').subscribe(listener(onStatusUpdate)),
  };
  return Object.assign(apiService, methods);
}

/** Smart polling: one conditional GET every `intervalMs`, the ETag remembered, also over `stop` and `start`. */
export class StorageStatusPoller {
  private end: Unsubscribe | null = null;

  constructor(readonly apiService: ApiService) {}

  /** The entity tag of the last status, as the server quotes it. */
  get lastETag(): string | null {
    const { version } = clientFor(this.apiService, 'poll');
    return version === null ? null : `"${version}"`;
  }

  /** Asks at once and then every `intervalMs`. Starting again replaces the callback and the interval. */
  start(onUpdate: (status: PolledStatus) => void, intervalMs: number = DEFAULT_INTERVAL_MS): void {
    this.stop();
    this.end = clientFor(this.apiService, 'poll').subscribe(
      (status, { version }) => {
        const { queued, processing, completed, timestamp } = status;
        const data = { queued_count: queued, input_count: processing, output_count: completed, timestamp, version };
        onUpdate({ ...status, success: true, data });
      },
      { intervalMs },
    );
  }

  stop(): void {
    this.end?.();
    this.end = null;
  }
}
