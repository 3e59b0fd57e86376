import apiService from './service';
import { withStorageStatus, StorageStatusPoller } from 'blob-status-client/native'; // or 'blob-status-client'
withStorageStatus(apiService);

export const poller = new StorageStatusPoller(apiService);
