import { createStatusClient } from 'blob-status-client';
import { readable } from 'svelte/store';

const client = createStatusClient({ baseUrl: 'https://example.com/api' });

export const snapshot = readable(client.getSnapshot(), (set) => {
  const read = () => set(client.getSnapshot());
  read();
  return client.watch(read);
});
