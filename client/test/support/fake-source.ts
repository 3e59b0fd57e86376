import type { StatusClient, StatusSnapshot, StorageStatus } from '../../src/types.js';

/** A client whose snapshot the test sets. */
export interface FakeSource extends StatusClient {
  forCase(this: void, caseId: string): FakeSource;
  show(change: Partial<StatusSnapshot>): void;
  readonly watchers: number;
  /** How often it was told to try again. */
  readonly refreshed: number;
}

export const counts = (queued: number, processing: number, completed: number): StorageStatus => ({
  queued,
  processing,
  completed,
  timestamp: '2026-11-22T18:20:31.000Z',
});

export function fakeSource(first: Partial<StatusSnapshot> = {}): FakeSource {
  let refreshed = 0;
  const cases = new Map<string, FakeSource>();
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
    forCase(caseId) {
      const one = cases.get(caseId) ?? fakeSource();
      cases.set(caseId, one);
      return one;
    },
    get state() {
      return snapshot.state;
    },
    version: null,
    answerAgeMs: null,
    refresh: () => void (refreshed += 1),
    reset: () => undefined,
    get refreshed() {
      return refreshed;
    },
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
