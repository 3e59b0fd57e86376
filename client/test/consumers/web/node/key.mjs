import { createStatusClient } from 'blob-status-client';

const client = createStatusClient({
  baseUrl: 'https://example.com/api',
  headers: { 'x-functions-key': 'the key of this kind of app' },
});

client.subscribe(({ queued }) => console.log(queued));
