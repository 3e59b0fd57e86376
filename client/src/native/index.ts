/**
 * For React Native with Expo's `expo-blur` and `expo-linear-gradient`, and `@react-native-community/netinfo`.
 *
 * The same names as the core, with AppState and NetInfo wired in.
 *
 * @packageDocumentation
 */
import NetInfo from '@react-native-community/netinfo';
import { AppState } from 'react-native';
import { createStatusClient as createCoreClient } from '../client.js';
import { setDefaults } from '../drop-in.js';
import { appStateActivity, netInfoNetwork } from '../signals.js';
import type { StatusClient, StatusClientOptions } from '../types.js';

/** AppState and NetInfo: stops in the background and offline, every 2 s on Wi-Fi and 5 s elsewhere. */
export const nativeConditions = {
  activity: appStateActivity(AppState),
  network: netInfoNetwork(NetInfo),
};

setDefaults(nativeConditions);

/** `createStatusClient` of the core, with {@link nativeConditions} unless the options say otherwise. */
export function createStatusClient(options: StatusClientOptions): StatusClient {
  return createCoreClient({ ...nativeConditions, ...options });
}

export {
  type ApiService,
  type DropInOptions,
  type PolledStatus,
  type StopPolling,
  type StorageStatusMethods,
  StorageStatusPoller,
  withStorageStatus,
} from '../drop-in.js';
export { StatusError, type StatusErrorCode } from '../errors.js';
export * from '../react/index.js';
export { appStateActivity, netInfoNetwork } from '../signals.js';
export type * from '../types.js';
export * from '../ui/index.js';
export * from './legend.js';
