import { createStatusClient, withStorageStatus } from 'blob-status-client';

const apiService = { baseUrl: 'https://example.com', basePath: '/api', accessToken: null };

const client = createStatusClient({ baseUrl: 'https://example.com/api' });
const stop = client.forCase('2026/117').subscribe(({ queued, completed }) => console.log(queued, completed));

withStorageStatus(apiService).startLongPolling(({ queued }) => console.log(queued), 3000, { caseId: '2026/117' });
process.on('SIGTERM', () => {
  stop();
  process.exit();
});
