import { type ApiService, clientFor } from '../drop-in.js';
import type { StatusClient } from '../types.js';

/** What a view can show: a client, or the app's own `apiService`. */
export type StatusSource = StatusClient | ApiService;

/** The client behind a source. The same source always has the same client. */
export function clientOf(source: StatusSource): StatusClient {
  return 'getSnapshot' in source ? source : clientFor(source);
}
