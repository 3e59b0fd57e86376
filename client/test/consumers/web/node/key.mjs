import { createStatusClient, withStorageStatus } from 'blob-status-client';

const baseUrl = 'https://example.com/api';
const key = 'of this kind of app';
const settings = { key };
const apiService = { baseUrl: 'https://example.com', basePath: '/api', accessToken: null };

const client = createStatusClient({ baseUrl, headers: { 'x-functions-key': key } });
withStorageStatus(apiService, { headers: () => ({ 'x-functions-key': settings.key }) }); // one that can be replaced

client.subscribe(({ queued }) => console.log('client', queued));
apiService.startLongPolling(({ queued }) => console.log('drop-in', queued));
