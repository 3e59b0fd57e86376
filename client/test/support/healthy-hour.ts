import type { Transport } from '../../src/types.js';
import { createRig } from './rig.js';

const HOUR = 3_600_000;
const known = new Map<Transport, number>();

/** How many requests a client makes in a quiet hour without any fault. */
export async function healthyHour(transport: Transport): Promise<number> {
  let requests = known.get(transport);
  if (requests === undefined) {
    const { clock, wire, client, start } = createRig({ transport });
    await start();
    await clock.advance(HOUR);
    client.close();
    requests = wire.sent.length;
    known.set(transport, requests);
  }
  return requests;
}
