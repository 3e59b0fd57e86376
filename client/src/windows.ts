/** Held connections of all windows of an origin. On HTTP/1.1 a browser opens six to a host, for all of them together. */

/** Two of the six stay free for what is not held: plain polls, and the app's own requests. */
const HELD_CONNECTIONS = 4;

/**
 * Takes one of the origin's held connections until `signal` aborts. `false`: other windows have them all; poll, and ask
 * again. Where there are no windows or no Web Locks (they need https), everybody may hold one.
 */
export async function takeHeldConnection(signal: AbortSignal): Promise<boolean> {
  const { document, navigator } = globalThis;
  if (!document || !navigator?.locks) return true;
  for (let i = 0; i < HELD_CONNECTIONS; i += 1) {
    if (await takeLock(navigator.locks, `blob-status-client/${i}`, signal)) return true;
  }
  return false;
}

function takeLock(locks: LockManager, name: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const hold = (lock: Lock | null): Promise<void> | null => {
      resolve(lock !== null);
      return lock && aborted(signal);
    };
    // Refused in a sandboxed frame, which has no origin to share anything in.
    locks.request(name, { ifAvailable: true }, hold).catch(() => resolve(true));
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve());
    if (signal.aborted) resolve();
  });
}
