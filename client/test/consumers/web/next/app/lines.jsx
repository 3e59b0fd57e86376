'use client';
import { createStatusClient } from 'blob-status-client';
import { useStorageStatus } from 'blob-status-client/react';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

/** Whatever the hook says, in words: all of it has to be the same on the server and in the first frame. */
export function Lines({ id }) {
  const { status, state, reason, error, transport } = useStorageStatus(client);
  return <p id={id}>{JSON.stringify({ queued: status?.queued ?? null, state, reason, error, transport })}</p>;
}
