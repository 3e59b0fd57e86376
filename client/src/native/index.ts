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
import {
  type ApiService,
  attachDefaults,
  StorageStatusPoller as CorePoller,
  type DropInOptions,
  type StorageStatusMethods,
  withStorageStatus as withCoreStatus,
} from '../drop-in.js';
import { appStateActivity, netInfoNetwork } from '../signals.js';
import type { CaseOptions, StatusClient, StatusClientOptions } from '../types.js';

/** AppState and NetInfo: stops in the background and offline, every 2 s on Wi-Fi and 5 s elsewhere. */
export const nativeConditions = {
  activity: appStateActivity(AppState),
  network: netInfoNetwork(NetInfo),
};

/** `createStatusClient` of the core, with {@link nativeConditions} unless the options say otherwise. */
export function createStatusClient(options: StatusClientOptions): StatusClient {
  return createCoreClient({ ...nativeConditions, ...options });
}

/** `withStorageStatus` of the core, with {@link nativeConditions} unless the options say otherwise. */
export function withStorageStatus<T extends ApiService>(
  apiService: T,
  options?: DropInOptions,
): T & StorageStatusMethods {
  return withCoreStatus(apiService, { ...nativeConditions, ...options });
}

/** `StorageStatusPoller` of the core, with {@link nativeConditions} unless `withStorageStatus` said otherwise. */
export class StorageStatusPoller extends CorePoller {
  constructor(apiService: ApiService, options?: CaseOptions) {
    super(apiService, options);
    attachDefaults(apiService, nativeConditions);
  }
}

export type { ApiService, DropInOptions, PolledStatus, StopPolling, StorageStatusMethods } from '../drop-in.js';
export { StatusError, type StatusErrorCode } from '../errors.js';
export * from '../react/index.js';
export { appStateActivity, netInfoNetwork } from '../signals.js';
export type * from '../types.js';
export * from '../ui/index.js';
export * from './legend.js';
