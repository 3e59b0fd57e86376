/** What a transport gets and gives: the seam between the session's loop and the wire. */
import type { Http } from '../http.js';
import type { Reading } from '../protocol.js';
import type { Clock } from '../types.js';
import type { Path } from './path.js';

/** What outlives a request. */
export interface Memory {
  reading: Reading | null;
  /** Names the client in addresses that a browser would otherwise share between windows. */
  readonly id: string;
  path: Path;
}

export interface Exchange {
  readonly http: Http;
  readonly clock: Clock;
  readonly memory: Memory;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  /** The server is there and said these numbers, or nothing new (`null`). Returns whether that was a change. */
  readonly confirm: (reading: Reading | null) => boolean;
}

export type Outcome =
  /** One request, one answer. */
  | { readonly kind: 'answered'; readonly changed: boolean }
  /** A stream worked and then ended by itself. */
  | { readonly kind: 'ended'; readonly retryMs: number; readonly livedMs: number }
  /** This path does not stream: use long poll. */
  | { readonly kind: 'unstreamable' };
