/** How long the rest may take: said when it is known, as a range that holds, and not after things stand still. */
import { describe, expect, it } from 'vitest';
import { english, indonesian, timeLeft } from '../../src/ui/labels.js';
import { isExpected, minutesLeft, remember, type Step } from '../../src/ui/progress.js';
import { seededRandom } from '../support/fake-clock.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** Completions at these moments, one each. */
const stepsAt = (moments: readonly number[], from = 0): readonly Step[] =>
  moments.reduce<readonly Step[]>((steps, ms, index) => remember(steps, from + index + 1, ms), remember([], from, 0));
const every = (ms: number, times: number): number[] => Array.from({ length: times }, (_, index) => (index + 1) * ms);

describe('an estimate', () => {
  it('waits until the pace is known', () => {
    expect(minutesLeft(stepsAt(every(SECOND, 7)), 40, 7 * SECOND)).toBeNull();
    expect(minutesLeft(stepsAt(every(SECOND, 9)), 40, 9 * SECOND), 'too short a time').toBeNull();
    expect(minutesLeft(stepsAt(every(SECOND, 12)), 40, 12 * SECOND)).not.toBeNull();
    const atOnce = remember(remember([], 0, 0), 20, MINUTE);
    expect(minutesLeft(atOnce, 40, MINUTE), 'one moment is no pace').toBeNull();
  });

  it('grows while nothing is completed, and is gone when all is older than the window', () => {
    const steps = stepsAt(every(3 * SECOND, 20));
    const [, soon = 0] = minutesLeft(steps, 40, MINUTE) ?? [];
    const [, later = 0] = minutesLeft(steps, 40, 3 * MINUTE) ?? [];
    expect(later).toBeGreaterThan(2 * soon);
    expect(minutesLeft(steps, 40, 7 * MINUTE)).toBeNull();
  });

  it('is gone when all are done, and begins anew when the count falls', () => {
    const steps = stepsAt(every(SECOND, 40));
    expect(minutesLeft(steps, 40, MINUTE)).toBeNull();
    expect(minutesLeft(steps, 10, MINUTE)).toBeNull();
    expect(remember(steps, 3, MINUTE)).toEqual([{ steadyMs: MINUTE, completed: 3 }]);
    expect(remember(steps, undefined, MINUTE)).toEqual([]);
    expect(remember(steps, 40, MINUTE)).toBe(steps);
  });

  it('knows the pace of the last minutes, not of the first', () => {
    const slowThenFast = [...every(30 * SECOND, 10), ...every(SECOND, 360).map((ms) => 5 * MINUTE + ms)];
    const [from = 0, to = 0] = minutesLeft(stepsAt(slowThenFast), 670, 11 * MINUTE) ?? [];
    expect(from).toBeGreaterThan(3);
    expect(to).toBeLessThan(7);
    expect(stepsAt(slowThenFast).length).toBeLessThanOrEqual(302);
  });

  it.each([12, 40, 200])(
    'holds four times in five, whenever it is looked at: %i images at random moments',
    (expected) => {
      const next = seededRandom(expected);
      let [held, given] = [0, 0];
      for (let round = 0; round < 400; round++) {
        const meanMs = 500 + 20_000 * next();
        let ms = 0;
        const moments = Array.from({ length: expected }, () => (ms -= Math.log(1 - next()) * meanMs));
        const done = Math.floor(next() * (expected - 1));
        const now = moments[done] ?? 0;
        const estimate = minutesLeft(stepsAt(moments.slice(0, done + 1)), expected, now);
        if (!estimate) continue;
        const left = (ms - now) / MINUTE;
        given += 1;
        held += Number(estimate[0] <= left && left <= estimate[1]);
      }
      expect(given).toBeGreaterThan(100);
      expect(held / given).toBeGreaterThan(0.8);
      expect(held / given, 'and is no wider than that needs').toBeLessThan(0.98);
    },
  );
});

it.each([40, 1])('%j can be expected', (value) => expect(isExpected(value)).toBe(true));
it.each([0, -1, 1.5, NaN, Infinity, '40', null, undefined, {}])('%j is nothing to expect', (value) =>
  expect(isExpected(value)).toBe(false),
);

it.each<[number | null, number | null, string | null, string | null]>([
  [null, null, null, null],
  [0, 1, 'less than a minute left', 'kurang dari satu menit lagi'],
  [0, 3, 'up to 3 min left', 'paling lama 3 menit lagi'],
  [2, 4, 'about 2–4 min left', 'sekitar 2–4 menit lagi'],
  [4, 4, 'about 4 min left', 'sekitar 4 menit lagi'],
  [90, 150, 'about 1–3 h left', 'sekitar 1–3 jam lagi'],
  [40, 150, 'up to 3 h left', 'paling lama 3 jam lagi'],
])('from %j to %j minutes: %s', (from, to, inEnglish, inIndonesian) => {
  expect(timeLeft(english, from, to)).toBe(inEnglish);
  expect(timeLeft(indonesian, from, to)).toBe(inIndonesian);
});
