import { useMemo, useSyncExternalStore } from 'react';
import { systemClock } from '../clock.js';
import type { StatusClient, StatusSnapshot } from '../types.js';
import { type Moment, NOTHING_SHOWN, type Observation, observe, present, type Shown } from './observation.js';

/** Of each client, for all its legends, also for one that is mounted again. */
const observations = new WeakMap<StatusClient, Observation>();

const moment = (): Moment => ({ steadyMs: systemClock.now(), wallMs: Date.now() });

const same = (a: Shown, b: Shown): boolean =>
  (Object.keys(a) as (keyof Shown)[]).every((key) => Object.is(a[key], b[key]));

/** A store of what one legend shows: the client's snapshots, and what becomes of them while time passes. */
export function createView(client: StatusClient, stuckAfterMs: number | null, expected?: number | null) {
  let seen: StatusSnapshot | null = null;
  let shown = NOTHING_SHOWN;
  let changesInMs: number | null = null;

  function look(): void {
    const now = moment();
    const observation = observe(observations.get(client) ?? null, client.getSnapshot(), now, client.answerAgeMs);
    observations.set(client, observation);
    seen = observation.snapshot;
    const next = present(observation, now, stuckAfterMs, expected);
    if (!same(next.shown, shown)) shown = next.shown;
    ({ changesInMs } = next);
  }

  return {
    getSnapshot: (): Shown => {
      if (client.getSnapshot() !== seen) look();
      return shown;
    },
    watch: (onChange: () => void): (() => void) => {
      let cancel: (() => void) | null = null;
      const update = (): void => {
        cancel?.();
        look();
        cancel = changesInMs === null ? null : systemClock.schedule(update, changesInMs);
        onChange();
      };
      const stop = client.watch(update);
      update();
      return () => {
        cancel?.();
        stop();
      };
    },
  };
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What the legend of a client shows. `stuckAfterMs` and `expected`: see `LegendProps`. */
export function useShown(client: StatusClient, stuckAfterMs: number | null, expected?: number | null): Shown {
  const limitMs = stuckAfterMs !== null && stuckAfterMs > 0 && stuckAfterMs <= LONGEST_TIMER_MS ? stuckAfterMs : null;
  const view = useMemo(() => createView(client, limitMs, expected), [client, limitMs, expected]);
  return useSyncExternalStore(view.watch, view.getSnapshot, () => NOTHING_SHOWN);
}
