/** What a transport gets and gives: the seam between the session's loop and the wire. */
import type { StatusError } from '../errors.js';
import type { Http } from '../http.js';
import type { Reading } from '../protocol.js';
import type { Clock } from '../types.js';
import { Path } from './path.js';

/** What outlives a request. */
export class Memory {
  reading: Reading | null = null;
  path = new Path();
  /** Names the client in addresses that a browser would otherwise share between windows. */
  readonly id = Math.random().toString(36).slice(2);
  /**
   * Whether this `fetch` gives bodies that can be read as they come. `null`: the runtime's own does not (React Native),
   * and no answer has shown yet whether the app's does.
   */
  canStream: boolean | null =
    typeof TextDecoder !== 'undefined' && ('body' in (globalThis.Response?.prototype ?? {}) || null);
}

export interface Exchange {
  readonly http: Http;
  readonly clock: Clock;
  readonly memory: Memory;
  /** Below the API's address. */
  readonly statusPath: string;
  readonly waitSeconds: number;
  readonly signal: AbortSignal;
  /** The server is there and said these numbers, or nothing new (`null`). Returns whether that was a change. */
  readonly confirm: (reading: Reading | null) => boolean;
}

export type Outcome =
  /** One request, one answer. */
  | { readonly kind: 'answered'; readonly changed: boolean }
  /** A stream worked and then ended. `error`: what is to be told of how it did. */
  | { readonly kind: 'ended'; readonly retryMs: number; readonly livedMs: number; readonly error: StatusError | null }
  /** A stream said nothing in time, or cannot be read. */
  | { readonly kind: 'silent' };
