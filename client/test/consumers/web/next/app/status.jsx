'use client';
import { createStatusClient, RealtimeStorageStatus } from 'blob-status-client/web';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

export const Status = () => <RealtimeStorageStatus source={client} />;
