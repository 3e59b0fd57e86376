import { createStatusClient, RealtimeStorageStatus } from 'blob-status-client/native';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

export default () => <RealtimeStorageStatus source={client} />;
