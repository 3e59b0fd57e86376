import type { StatusClient, StatusSnapshot, StorageStatus } from '../../src/types.js';

/** A client whose snapshot the test sets. */
export interface FakeSource extends StatusClient {
  show(change: Partial<StatusSnapshot>): void;
  readonly watchers: number;
}

export const counts = (queued: number, processing: number, completed: number): StorageStatus => ({
  queued,
  processing,
  completed,
  timestamp: '2026-11-22T18:20:31.000Z',
});

export function fakeSource(first: Partial<StatusSnapshot> = {}): FakeSource {
  const watchers = new Set<() => void>();
  let snapshot: StatusSnapshot = {
    status: null,
    state: 'connecting',
    reason: null,
    error: null,
    transport: 'long-poll',
    ...first,
  };
  return {
    watch(onChange) {
      watchers.add(onChange);
      return () => watchers.delete(onChange);
    },
    subscribe: () => () => undefined,
    getSnapshot: () => snapshot,
    get state() {
      return snapshot.state;
    },
    version: null,
    refresh: () => undefined,
    reset: () => undefined,
    close: () => undefined,
    show(change) {
      snapshot = { ...snapshot, ...change };
      for (const watcher of [...watchers]) watcher();
    },
    get watchers() {
      return watchers.size;
    },
  };
}
