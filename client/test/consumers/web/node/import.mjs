import { createStatusClient } from 'blob-status-client';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });
const stop = client.subscribe(({ queued, processing, completed, timestamp }) => {
  console.log(queued, processing, completed, timestamp);
});
process.on('SIGTERM', stop);
