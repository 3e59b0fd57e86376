/**
 * How many of those that are expected are done, and how long the others may take. Pure: every moment is given.
 *
 * Images are completed at random moments, so a rate that was seen is uncertain by about the root of their number: what
 * is said is a range that holds four times in five, and nothing before there are enough of them.
 */

/** How many had been completed at a moment of the steady clock. */
export interface Step {
  readonly steadyMs: number;
  readonly completed: number;
}

/** What has passed since is forgotten: a pipeline is as fast as it was lately. */
const WINDOW_MS = 5 * 60_000;
const MAX_STEPS = 300;
const FEWEST_COMPLETED = 8;
const FEWEST_STEPS = 4;
const SHORTEST_MS = 10_000;
/** Standard deviations at either side, so that a range holds four times in five. */
const WIDTH = 1.4;
const MINUTE_MS = 60_000;

/** Where the last one from before a moment is, or the first one: from there on things are counted. */
const beginOf = (steps: readonly Step[], steadyMs: number): number =>
  Math.max(steps.filter((each) => each.steadyMs <= steadyMs).length - 1, 0);

/** Remembers a count of completed images; one that has fallen is another count, and the memory begins anew. */
export function remember(steps: readonly Step[], completed: number | undefined, steadyMs: number): readonly Step[] {
  if (completed === undefined) return [];
  const last = steps[steps.length - 1];
  if (completed === last?.completed) return steps;
  const step = { steadyMs, completed };
  if (last && completed < last.completed) return [step];
  return [...steps.slice(Math.max(beginOf(steps, steadyMs - WINDOW_MS), steps.length + 1 - MAX_STEPS)), step];
}

/** A whole number above 0, or there is nothing to show. */
export const isExpected = (expected: unknown): expected is number => Number.isInteger(expected) && Number(expected) > 0;

/** In how many minutes the rest may be done: at least, at most; `null` while that cannot be told. */
export function minutesLeft(
  steps: readonly Step[],
  expected: number,
  steadyMs: number,
): readonly [number, number] | null {
  const lately = steps.slice(beginOf(steps, steadyMs - WINDOW_MS));
  const [first, last] = [lately[0], lately[lately.length - 1]];
  if (!first || !last || last.completed >= expected || lately.length < FEWEST_STEPS) return null;
  const [completed, ms] = [last.completed - first.completed, steadyMs - first.steadyMs];
  if (completed < FEWEST_COMPLETED || ms < SHORTEST_MS) return null;
  const left = expected - last.completed;
  const meanMs = (left * ms) / completed;
  // What was seen is as uncertain as what comes.
  const factor = Math.exp(WIDTH * Math.sqrt(1 / completed + 1 / left));
  const soonestMs = left < FEWEST_COMPLETED ? 0 : meanMs / factor;
  return [soonestMs / MINUTE_MS, (meanMs * factor) / MINUTE_MS];
}
