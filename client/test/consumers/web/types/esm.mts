import { createStatusClient, type StatusSnapshot } from 'blob-status-client';
import { clientOf } from 'blob-status-client/react';
import { fetch } from 'undici';

const client = createStatusClient({ baseUrl: 'https://example.com/api', fetch });
const snapshot: StatusSnapshot = clientOf(client).getSnapshot();
console.log(snapshot.status?.queued.toFixed());
