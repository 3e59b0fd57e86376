/** What is known and how true it is: a pure reducer. Equal in, same object out, so that views do not redraw. */
import type { StatusError } from './errors.js';
import type { StatusSnapshot, StopReason, StorageStatus, Transport } from './types.js';

export type SnapshotEvent =
  | { readonly type: 'connecting'; readonly transport: Transport }
  | { readonly type: 'confirmed'; readonly status: StorageStatus; readonly transport: Transport }
  | { readonly type: 'failed'; readonly error: StatusError }
  | { readonly type: 'cleared' }
  | { readonly type: 'offline' }
  | { readonly type: 'stopped'; readonly reason: StopReason; readonly error?: StatusError };

export const initialSnapshot = (transport: Transport): StatusSnapshot => ({
  status: null,
  state: 'stopped',
  reason: 'idle',
  error: null,
  transport,
});

/** The next snapshot. The numbers are kept through every trouble, until the user signs out: an old number that says so beats none. */
export function reduceSnapshot(now: StatusSnapshot, event: SnapshotEvent): StatusSnapshot {
  const next = apply(now, event);
  const keys = Object.keys(next) as (keyof StatusSnapshot)[];
  return keys.every((key) => Object.is(next[key], now[key])) ? now : next;
}

function apply(now: StatusSnapshot, event: SnapshotEvent): StatusSnapshot {
  const base = { ...now, reason: null };
  switch (event.type) {
    case 'connecting':
      return { ...base, state: 'connecting', error: null, transport: event.transport };
    case 'confirmed':
      return { ...base, state: 'live', error: null, status: event.status, transport: event.transport };
    case 'failed':
      return { ...base, state: now.status ? 'stale' : 'connecting', error: event.error };
    case 'cleared': {
      const isUp = now.state === 'live' || now.state === 'stale';
      return { ...now, status: null, error: null, state: isUp ? 'connecting' : now.state };
    }
    case 'offline':
      return { ...base, state: 'offline' };
    case 'stopped':
      return { ...base, state: 'stopped', reason: event.reason, error: event.error ?? null };
  }
}
