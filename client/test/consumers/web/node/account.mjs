import { createStatusClient } from 'blob-status-client';

let token = null;
export const client = createStatusClient({ baseUrl: 'https://example.com/api', getToken: () => token });

/** After a sign-in, and with `null` after a sign-out. */
export function setToken(accessToken) {
  token = accessToken;
  client.reset();
}

client.watch(() => {
  const { state, status } = client.getSnapshot();
  console.log(state, status?.queued ?? 'unknown');
  if (state === 'live') setToken(null);
});
setToken('secret');
