import { render, screen, waitFor } from '@testing-library/react-native';
import App from './App';
import { poller } from './poller';
import { client } from './streaming';

const status = { queued: 12, processing: 3, completed: 85, timestamp: '2026-11-22T18:20:31Z' };
const data = { queued_count: 12, input_count: 3, output_count: 85, timestamp: status.timestamp, version: 'a' };
const answer = async () => new Response(JSON.stringify({ success: true, data }));
const frame = `id: a\nevent: status_update\ndata: ${JSON.stringify({ ...status, version: 'a' })}\n\n`;
const mockStream = async () => new Response(frame, { headers: { 'Content-Type': 'text/event-stream' } });
jest.mock('expo/fetch', () => ({ fetch: () => mockStream() }));

beforeEach(() => {
  globalThis.fetch = answer;
});

test('the existing component and the legend show the number', async () => {
  render(<App />);
  await waitFor(() => expect(screen.getAllByText('12')).toHaveLength(2));
});

test('SSE comes by the fetch of Expo', async () => {
  expect(await new Promise((resolve) => client.subscribe(resolve))).toEqual(status);
  expect(client.getSnapshot().transport).toBe('sse');
  client.close();
});

test('the poller polls', async () => {
  expect(await new Promise((resolve) => poller.start(resolve))).toMatchObject({ queued: 12, data });
  poller.stop();
});
