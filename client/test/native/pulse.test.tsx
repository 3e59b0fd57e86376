/**
 * The pulse, as it is asked for and as it moves.
 *
 * With the native driver a style never changes in JavaScript, so the values are read from the very Animated.Value that
 * an item's transform holds, with the animation's driver moved to JavaScript and the clock in the test's hands.
 */
import { act, render, screen } from '@testing-library/react-native';
import { AccessibilityInfo, Animated, StyleSheet, type ViewStyle } from 'react-native';
import { RealtimeStorageStatus } from '../../src/native/index.js';
import { counts, type FakeSource, fakeSource } from '../support/fake-source.js';

interface Asked {
  readonly value: unknown;
  readonly toValue: unknown;
  readonly duration: number | undefined;
  readonly useNativeDriver: boolean;
}

let asked: Asked[];

beforeEach(() => {
  jest.useFakeTimers();
  asked = [];
  const { timing } = Animated;
  jest.spyOn(Animated, 'timing').mockImplementation((value, config) => {
    const { toValue, duration, useNativeDriver } = config;
    asked.push({ value, toValue, duration, useNativeDriver });
    return timing(value, { ...config, useNativeDriver: false });
  });
});

afterEach(() => jest.useRealTimers());

/** The Animated.Value in the transform of the item with this label. */
function scaleOf(label: string): Animated.Value {
  const item = screen
    .UNSAFE_getAllByType(Animated.View)
    .find(({ props }) => String(props.accessibilityLabel).startsWith(label));
  const style = StyleSheet.flatten(item?.props.style as ViewStyle) as { transform: [{ scale: Animated.Value }] };
  return style.transform[0].scale;
}

const now = (label: string): number => (scaleOf(label) as unknown as { __getValue(): number }).__getValue();
const all = (): number[] => ['Queued', 'Processing', 'Completed'].map((label) => Number(now(label).toFixed(3)));
const pass = (ms: number): void => act(() => void jest.advanceTimersByTime(ms));

async function show(props: { pulse?: 'changed' | 'all' } = {}, first = counts(1, 2, 3)): Promise<FakeSource> {
  const source = fakeSource({ status: first, state: 'live' });
  render(<RealtimeStorageStatus source={source} {...props} />);
  await act(async () => undefined);
  return source;
}

it('a changed count goes 1 → 1.1 → 1 in 150 ms each; the others stay still', async () => {
  const source = await show();
  act(() => source.show({ status: counts(1, 9, 3) }));
  expect(all()).toEqual([1, 1, 1]);
  pass(75);
  expect(now('Processing')).toBeGreaterThan(1.02);
  expect(now('Processing')).toBeLessThan(1.1);
  pass(85);
  expect(now('Processing')).toBeGreaterThan(1.08);
  expect([now('Queued'), now('Completed')]).toEqual([1, 1]);
  pass(160);
  expect(all()).toEqual([1, 1, 1]);
});

it('it is asked for with the native driver, on the value that the item shows', async () => {
  const source = await show();
  act(() => source.show({ status: counts(5, 2, 3) }));
  const value = scaleOf('Queued');
  expect(asked).toEqual([
    { value, toValue: 1.1, duration: 150, useNativeDriver: true },
    { value, toValue: 1, duration: 150, useNativeDriver: true },
  ]);
});

it('two changed counts pulse, the third does not', async () => {
  const source = await show();
  act(() => source.show({ status: counts(0, 3, 3) }));
  pass(150);
  expect(all()).toEqual([1.1, 1.1, 1]);
});

it('pulse="all": every item, on every update, the first included', async () => {
  const source = await show({ pulse: 'all' });
  pass(150);
  expect(all()).toEqual([1.1, 1.1, 1.1]);
  pass(160);
  expect(all()).toEqual([1, 1, 1]);
  act(() => source.show({ status: counts(1, 2, 4) }));
  pass(150);
  expect(all()).toEqual([1.1, 1.1, 1.1]);
});

it('the first counts and a change of the connection alone are no update', async () => {
  const source = await show({}, counts(7, 7, 7));
  act(() => source.show({ state: 'stale' }));
  act(() => source.show({ state: 'live' }));
  pass(150);
  expect(all()).toEqual([1, 1, 1]);
  expect(asked).toEqual([]);
});

it('counts that arrive after "not known yet" do not pulse, the next change does', async () => {
  const source = fakeSource();
  render(<RealtimeStorageStatus source={source} />);
  await act(async () => undefined);
  act(() => source.show({ status: counts(1, 1, 1), state: 'live' }));
  expect(asked).toEqual([]);
  act(() => source.show({ status: counts(2, 1, 1) }));
  expect(asked).toHaveLength(2);
});

it('an update in the middle of a pulse starts it over and ends at 1', async () => {
  const source = await show();
  act(() => source.show({ status: counts(2, 2, 3) }));
  pass(100);
  act(() => source.show({ status: counts(3, 2, 3) }));
  pass(150);
  expect(now('Queued')).toBeCloseTo(1.1);
  pass(160);
  expect(now('Queued')).toBe(1);
});

it('reduced motion: nothing moves, also when it is switched on under way', async () => {
  let say = (_reduced: boolean): void => undefined;
  jest.spyOn(AccessibilityInfo, 'isReduceMotionEnabled').mockResolvedValue(true);
  const listen = ((event: string, run: (reduced: boolean) => void) => {
    if (event === 'reduceMotionChanged') say = run;
    return { remove: () => undefined };
  }) as unknown as typeof AccessibilityInfo.addEventListener;
  jest.spyOn(AccessibilityInfo, 'addEventListener').mockImplementation(listen);
  const source = await show();
  act(() => source.show({ status: counts(2, 2, 3) }));
  expect(asked).toEqual([]);
  act(() => say(false));
  expect(asked).toEqual([]);
  act(() => source.show({ status: counts(3, 2, 3) }));
  expect(asked).toHaveLength(2);
  act(() => say(true));
  act(() => source.show({ status: counts(4, 2, 3) }));
  expect(asked).toHaveLength(2);
});
