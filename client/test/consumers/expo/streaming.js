import { createStatusClient } from 'blob-status-client/native';
import { fetch } from 'expo/fetch';

export const client = createStatusClient({ baseUrl: 'https://example.com/api', transport: 'sse', fetch });
