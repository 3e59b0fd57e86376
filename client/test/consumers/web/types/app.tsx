import { useStorageStatus } from 'blob-status-client/react';
import { createStatusClient, type LegendProps, RealtimeStorageStatus } from 'blob-status-client/web';

const client = createStatusClient({ baseUrl: 'https://example.com/api', fetch: (url, init) => fetch(url, init) });
const props: LegendProps = { source: client, caseId: '2026/117', style: [{ marginVertical: 0 }, null] };

export function App() {
  const { status } = useStorageStatus(client, { caseId: null });
  return <RealtimeStorageStatus {...props} testID={status?.queued.toFixed() ?? 'none'} />;
}
