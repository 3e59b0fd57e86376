import { useStorageStatus } from 'blob-status-client/react';

export function Queued({ client }) {
  const { status, state } = useStorageStatus(client);
  return state === 'live' ? status.queued : '–';
}
