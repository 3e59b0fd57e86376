/**
 * Live counts of queued, processing and completed images.
 *
 * @packageDocumentation
 */
export { createStatusClient } from './client.js';
export {
  type ApiService,
  type DropInOptions,
  type PolledStatus,
  type StopPolling,
  type StorageStatusMethods,
  StorageStatusPoller,
  withStorageStatus,
} from './drop-in.js';
export { StatusError, type StatusErrorCode } from './errors.js';
export {
  type AppStateLike,
  appStateActivity,
  type NetInfoLike,
  netInfoNetwork,
  pageActivity,
  pageNetwork,
} from './signals.js';
export type * from './types.js';
