export { clientOf, type StatusSource } from './source.js';
export { useStorageStatus } from './use-storage-status.js';
