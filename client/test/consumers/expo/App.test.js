import { render, screen, waitFor } from '@testing-library/react-native';
import App from './App';

test('the existing component and the legend show the numbers', async () => {
  const data = { queued_count: 12, input_count: 3, output_count: 85, timestamp: '2026-11-22T18:20:31Z', version: 'a' };
  globalThis.fetch = async () => new Response(JSON.stringify({ success: true, data }));
  render(<App />);
  await waitFor(() => expect(screen.getAllByText('12')).toHaveLength(2));
});
