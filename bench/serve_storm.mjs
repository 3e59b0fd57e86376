// Many clients of ours in one process, and when each came back after the server had gone.
// node serve_storm.mjs CLIENT_BUNDLE BASE_URL COUNT TRANSPORT
// Says "attached" when all are, and a JSON array of milliseconds (process clock) when all have come back.
const [bundle, baseUrl, count, transport] = process.argv.slice(2);
const { createStatusClient } = await import(bundle);

let live = 0;
const back = [];
for (let number = 0; number < Number(count); number++) {
  let lost = false;
  const fetchAndNote = async (url, init) => {
    const startedAt = performance.now();
    let response;
    try {
      response = await fetch(url, init);
    } catch (error) {
      lost = true;
      throw error;
    }
    if (lost && (response.ok || response.status === 304)) {
      lost = false;
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
