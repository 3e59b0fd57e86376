// Many clients of ours in one process, and when each came back after the server had gone.
// node storm.mjs CLIENT_BUNDLE BASE_URL COUNT TRANSPORT
// Says "attached" when all are; is told by a line when the host has gone; then says when all have come back: a JSON
// array of milliseconds (process clock), of each client's first request since that was answered.
const [bundle, baseUrl, count, transport] = process.argv.slice(2);
const { createStatusClient } = await import(bundle);

let live = 0;
let goneAt = Infinity;
process.stdin.once('data', () => (goneAt = performance.now()));
const back = [];
for (let number = 0; number < Number(count); number++) {
  let isBack = false;
  const fetchAndNote = async (url, init) => {
    const startedAt = performance.now();
    const response = await fetch(url, init);
    if (!isBack && startedAt > goneAt && (response.ok || response.status === 304)) {
      isBack = true;
      back.push(startedAt);
      if (back.length === Number(count)) {
        console.log(JSON.stringify(back));
        process.exit(0);
      }
    }
    return response;
  };
  const client = createStatusClient({ baseUrl, transport, fetch: fetchAndNote, onError: () => undefined });
  let seen = false;
  client.watch(() => {
    if (!seen && client.getSnapshot().state === 'live') {
      seen = true;
      if (++live === Number(count)) console.log('attached');
    }
  });
}
