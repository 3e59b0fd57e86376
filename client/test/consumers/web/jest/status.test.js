const { createStatusClient } = require('blob-status-client');

test('shows what the server says', async () => {
  const client = createStatusClient({ baseUrl: 'https://example.com/api' });
  const status = await new Promise((resolve) => client.subscribe(resolve));
  expect(status).toMatchObject({ queued: 12, processing: 3, completed: 85 });
  client.close();
});
