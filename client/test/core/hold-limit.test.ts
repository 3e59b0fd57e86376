/** What a path was seen to cut, by itself. */
import { describe, expect, it } from 'vitest';
import { HoldLimit } from '../../src/transports/hold-limit.js';
import { seededRandom } from '../support/fake-clock.js';

const MINUTE = 60_000;

describe('a hold limit', () => {
  it('is as long as is wanted, to begin with and after one cut', () => {
    const limit = new HoldLimit();
    expect(limit.waitSeconds(25, 0)).toBe(25);
    limit.cut(25, 20_000, 20_000);
    expect([limit.waitSeconds(25, 20_000), limit.isKnown]).toEqual([25, false]);
  });

  it.each([
    [25, 20_000, 18],
    [25, 20_400, 18],
    [25, 8_000, 7],
    [60, 55_000, 49],
    [7.5, 7_000, 6],
    [25, 1_000, 0],
    [25, 29_000, 22], // longer on the way than it was to be held: the wait counts
  ])('%d s wanted and cut twice after %d ms: %d s', (wanted, ageMs, expected) => {
    const limit = new HoldLimit();
    limit.cut(wanted, ageMs, 0);
    limit.cut(wanted, ageMs, 0);
    expect([limit.waitSeconds(wanted, 0), limit.isKnown]).toEqual([expected, true]);
  });

  it('a longer answer in between says that the first was no gateway', () => {
    const limit = new HoldLimit();
    limit.cut(25, 3_000, 0);
    limit.answered(25, 3_001);
    limit.cut(25, 9_000, 0);
    expect(limit.isKnown).toBe(false);
  });

  it.each([
    ['an answer before that age', 25, 3_000],
    ['an answer that was not held', 0, 9_000],
    ['an answer that was held for less, and slow', 7, 9_000],
  ])('%s says nothing', (_, waitSeconds, ageMs) => {
    const limit = new HoldLimit();
    limit.cut(25, 8_000, 0);
    limit.answered(waitSeconds, ageMs);
    limit.cut(25, 8_000, 0);
    expect(limit.isKnown).toBe(true);
  });

  it.each([10, 3_000, 17_900])('that is known is no lower after one cut at %d ms, wherever it falls', (ageMs) => {
    for (const atMinutes of [1, 10]) {
      const limit = new HoldLimit();
      for (const _ of [1, 2]) limit.cut(25, 20_000, 0);
      limit.cut(limit.waitSeconds(25, atMinutes * MINUTE), ageMs, atMinutes * MINUTE);
      expect(limit.waitSeconds(25, atMinutes * MINUTE)).toBe(18);
      limit.answered(18, 18_000);
      limit.cut(18, 1_500, atMinutes * MINUTE);
      expect(limit.waitSeconds(25, atMinutes * MINUTE)).toBe(18);
    }
  });

  it('that is known is lower after two shorter cuts in a row', () => {
    const limit = new HoldLimit();
    for (const _ of [1, 2]) limit.cut(25, 20_000, 0);
    for (const _ of [1, 2]) limit.cut(18, 8_000, MINUTE);
    expect(limit.waitSeconds(25, MINUTE)).toBe(7);
  });

  it('asks for all of it again after 10 minutes, until it is cut or answered', () => {
    const limit = new HoldLimit();
    for (const _ of [1, 2]) limit.cut(25, 8_000, 0);
    const at = (minutes: number): number => limit.waitSeconds(25, minutes * MINUTE);
    expect([at(9.9), at(10), at(12)]).toEqual([7, 25, 25]);
    limit.cut(25, 15_000, 12 * MINUTE); // the path has changed
    expect([at(12), at(21.9), at(22)]).toEqual([13, 13, 25]);
    limit.answered(25, 25_000);
    expect([at(23), limit.isKnown]).toEqual([25, false]);
  });

  it('whatever the gateway and the way to it: found in a few cuts, and none after them', () => {
    const random = seededRandom(15);
    for (let run = 0; run < 2000; run += 1) {
      const wantedSeconds = 1 + Math.floor(random() * 120);
      const gatewayMs = 200 + random() * 120_000;
      const limit = new HoldLimit();
      let cuts = 0;
      for (let n = 0; n < 30; n += 1) {
        const waitSeconds = limit.waitSeconds(wantedSeconds, 0);
        const wayMs = random() * 1500;
        if (waitSeconds * 1000 >= gatewayMs) {
          limit.cut(waitSeconds, gatewayMs + wayMs, 0);
          cuts += 1;
        } else limit.answered(waitSeconds, waitSeconds * 1000 + wayMs);
      }
      const asked = limit.waitSeconds(wantedSeconds, 0);
      expect(asked * 1000, `${wantedSeconds} s, ${gatewayMs} ms`).toBeLessThan(gatewayMs);
      expect(cuts).toBeLessThanOrEqual(6);
      if (!cuts) expect(asked).toBe(wantedSeconds);
      else expect(asked * 1000).toBeGreaterThan(0.7 * gatewayMs - 2000);
    }
  });
});
