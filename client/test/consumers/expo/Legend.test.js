import { render, screen } from '@testing-library/react-native';
import { createStatusClient, RealtimeStorageStatus } from 'blob-status-client/native';

test('the screen shows the number', async () => {
  const data = { queued_count: 12, input_count: 3, output_count: 85, timestamp: '2026-11-22T18:20:31Z', version: 'a' };
  const fetch = async () => new Response(JSON.stringify({ success: true, data }));
  const client = createStatusClient({ baseUrl: 'https://example.com/api', fetch });
  render(<RealtimeStorageStatus source={client} />);
  await screen.findByText('12');
});
