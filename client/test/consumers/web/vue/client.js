import { createStatusClient } from 'blob-status-client';

export const client = createStatusClient({ baseUrl: 'https://example.com/api' });
