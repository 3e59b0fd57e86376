/**
 * What time adds to a snapshot: since when the numbers are old, whether anything moves, and what need not be shown
 * because it passes. Pure: every moment is given.
 */
import { CASE_UNKNOWN } from '../protocol.js';
import type { StatusSnapshot, StorageStatus } from '../types.js';
import { isExpected, minutesLeft, remember, type Step } from './progress.js';
import { countsOf } from './stages.js';

/** What the indicator can say. */
export type Indicator =
  | 'live'
  | 'connecting'
  | 'notReady'
  | 'stale'
  | 'offline'
  | 'paused'
  | 'unauthorized'
  | 'rejected';

/** A moment on both clocks of this device, in milliseconds: a steady one may stand still while a phone sleeps. */
export interface Moment {
  readonly steadyMs: number;
  readonly wallMs: number;
}

/** What is remembered of a client from one look to the next. */
export interface Observation {
  readonly snapshot: StatusSnapshot;
  readonly indicator: Indicator;
  /** What stands in for the indicator for the first {@link SETTLE_MS}. */
  readonly standIn: Indicator | null;
  readonly since: Moment;
  /** When these counts were first seen. */
  readonly changedAt: Moment;
  /** When the last answer came, as far as that is known. */
  readonly answeredAt: Moment | null;
  /** Nothing has failed since the last answer. */
  readonly isCalm: boolean;
  /** What was completed lately, and when. */
  readonly steps: readonly Step[];
}

/** What the legend shows. */
export interface Shown {
  readonly status: StorageStatus | null;
  readonly indicator: Indicator;
  /** Something is wrong, at the connection or behind it. */
  readonly isTrouble: boolean;
  /** When numbers that are not live were last confirmed, such as `15:56`. */
  readonly asOf: string | null;
  /** For how long nothing has moved though images are in process; `null` while that is no reason to say so. */
  readonly stuckMinutes: number | null;
  /** Of those that are expected; `null` where no number is, or none is known. */
  readonly done: number | null;
  /** In how many minutes the rest may be done; `null` while that cannot be told. */
  readonly fromMinutes: number | null;
  readonly toMinutes: number | null;
}

/** On a server, and before the first look. */
export const NOTHING_SHOWN: Shown = {
  status: null,
  indicator: 'connecting',
  isTrouble: false,
  asOf: null,
  stuckMinutes: null,
  done: null,
  fromMinutes: null,
  toMinutes: null,
};

/** Who comes back is answered within this, as a rule; until then what was shown stays, so that nothing blinks. */
const SETTLE_MS = 1_000;
/** A dead connection is noticed after about so long; an answer younger than that is as good as live. */
const FRESH_MS = 30_000;
const MINUTE_MS = 60_000;
/** An estimate grows while nothing is completed. */
const ESTIMATED_EVERY_MS = 5_000;

/** What is true of a snapshot. `idle` is a legend's own first frame: it is about to connect. */
function indicatorOf({ state, reason, error }: StatusSnapshot): Indicator {
  if (error?.code === 'rejected' && state !== 'offline') return 'rejected';
  if (state === 'stopped') {
    if (reason === 'unauthorized') return reason;
    return reason === 'idle' ? 'connecting' : 'paused';
  }
  const isNotReady = error?.problem === 'counts-not-ready' || error?.problem === CASE_UNKNOWN;
  return isNotReady && state !== 'offline' ? 'notReady' : state;
}

function sameCounts(a: StorageStatus | null, b: StorageStatus | null): boolean {
  const [ours, theirs] = [countsOf(a), countsOf(b)];
  return ours.size === theirs.size && [...ours].every(([item, count]) => theirs.get(item) === count);
}

/** Remembers a snapshot. `answerAgeMs`: how long ago the client had its last answer, where it says so. */
export function observe(
  before: Observation | null,
  snapshot: StatusSnapshot,
  now: Moment,
  answerAgeMs: number | null | undefined,
): Observation {
  if (before?.snapshot === snapshot) return before;
  const indicator = indicatorOf(snapshot);
  const wasLive = before?.snapshot.state === 'live';
  const answeredAt = wasLive || !before?.answeredAt ? ago(now, answerAgeMs ?? (wasLive ? 0 : null)) : before.answeredAt;
  const observation = {
    snapshot,
    indicator,
    since: now,
    changedAt: before && sameCounts(before.snapshot.status, snapshot.status) ? before.changedAt : now,
    answeredAt: indicator === 'live' ? now : answeredAt,
    steps: remember(before?.steps ?? [], snapshot.status?.completed, now.steadyMs),
    isCalm: indicator === 'live' || (before?.isCalm === true && (indicator === 'connecting' || indicator === 'paused')),
  };
  return { ...observation, standIn: indicator === 'connecting' ? standIn(before, observation, now) : null };
}

/** Coming back from a moment away changes nothing to look at; from a longer one, the pause ends with the answer. */
function standIn(before: Observation | null, after: Omit<Observation, 'standIn'>, now: Moment): Indicator | null {
  if (after.snapshot.error) return null;
  const isKnown = after.snapshot.status !== null;
  if (isKnown && after.isCalm && after.answeredAt && elapsedMs(after.answeredAt, now) < FRESH_MS) return 'live';
  return before?.indicator === 'paused' ? 'paused' : null;
}

const two = (value: number): string => String(value).padStart(2, '0');

/** What this device's clock showed so long ago: `15:56`, with the date when that was another day. */
function clockTime(agoMs: number, nowMs: number): string {
  const at = new Date(nowMs - agoMs);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const isToday = at.toDateString() === new Date(nowMs).toDateString();
  return isToday ? time : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

const ago = (now: Moment, ms: number | null): Moment | null =>
  ms === null ? null : { steadyMs: now.steadyMs - ms, wallMs: now.wallMs - ms };

/** The longer of the two: a clock that stood still or was set back must not make numbers younger. */
const elapsedMs = (from: Moment, now: Moment): number =>
  Math.max(now.steadyMs - from.steadyMs, now.wallMs - from.wallMs, 0);

/**
 * What to show now, and in how many milliseconds that changes by itself (`null`: not).
 *
 * @param stuckAfterMs After this without a change, with images in process, the legend says so; `null`: never.
 * @param expected How many are to be completed in all, where that is known.
 */
export function present(
  seen: Observation,
  now: Moment,
  stuckAfterMs: number | null,
  expected?: number | null,
): { readonly shown: Shown; readonly changesInMs: number | null } {
  const { status, state, error } = seen.snapshot;
  const settlesInMs = seen.standIn ? SETTLE_MS - (now.steadyMs - seen.since.steadyMs) : 0;
  const indicator = seen.standIn && settlesInMs > 0 ? seen.standIn : seen.indicator;
  const isLive = indicator === 'live';
  const stuck = isLive && status && status.processing > 0 && stuckAfterMs !== null;
  // The steady clock alone: setting the other must not make things look stuck.
  const stillMs = now.steadyMs - seen.changedAt.steadyMs;
  const isStuck = stuck && stillMs >= stuckAfterMs;
  const done = status && isExpected(expected) ? Math.min(status.completed, expected) : null;
  const isUnderWay = done !== null && isExpected(expected) && done < expected && isLive && !isStuck;
  const left = isUnderWay ? minutesLeft(seen.steps, expected, now.steadyMs) : null;
  const shown = {
    status,
    indicator,
    isTrouble: state === 'stale' || error !== null || Boolean(isStuck),
    asOf: status && !isLive && seen.answeredAt ? clockTime(elapsedMs(seen.answeredAt, now), now.wallMs) : null,
    stuckMinutes: isStuck ? Math.max(Math.floor(stillMs / MINUTE_MS), 1) : null,
    done,
    fromMinutes: left ? Math.floor(left[0]) : null,
    toMinutes: left ? Math.ceil(left[1]) : null,
  };
  const changesInMs = [
    settlesInMs > 0 ? settlesInMs : null,
    stuck ? (isStuck ? MINUTE_MS - (stillMs % MINUTE_MS) : stuckAfterMs - stillMs) : null,
    isUnderWay ? ESTIMATED_EVERY_MS : null,
  ].filter((ms) => ms !== null);
  return { shown, changesInMs: changesInMs.length ? Math.min(...changesInMs) : null };
}
