'use client';
import { useSyncExternalStore } from 'react';
import { initialSnapshot } from '../snapshot.js';
import type { CaseOptions, StatusSnapshot } from '../types.js';
import { clientOf, type StatusSource } from './source.js';

/** What a server renders and a browser hydrates, whatever has arrived meanwhile: the same on both sides. */
const serverSnapshot: StatusSnapshot = {
  ...initialSnapshot('long-poll'),
  state: 'connecting',
  reason: null,
};
const getServerSnapshot = (): StatusSnapshot => serverSnapshot;

/**
 * The live status in a component. Any number of components share the source's one connection, which is up while at
 * least one of them is mounted.
 *
 * @param source A client, made once outside of render, or the app's `apiService`.
 * @param options `caseId` makes it the status of one case. With another one the snapshot is at once that of the new case,
 *   without numbers until they have come.
 * @example
 * const { status, state } = useStorageStatus(client);
 */
export function useStorageStatus(source: StatusSource, { caseId }: CaseOptions = {}): StatusSnapshot {
  const client = clientOf(source, caseId);
  return useSyncExternalStore(client.watch, client.getSnapshot, getServerSnapshot);
}
