/** What the legend adds when the app says how many are expected: words, a bar, and how long the rest may take. */
import { act, render, screen } from '@testing-library/react-native';
import { type LegendProps, RealtimeStorageStatus } from '../../src/native/index.js';
import { counts, type FakeSource, fakeSource } from '../support/fake-source.js';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

async function show(completed: number, props: Partial<LegendProps>): Promise<FakeSource> {
  const source = fakeSource({ state: 'live', status: counts(12, 3, completed) });
  render(<RealtimeStorageStatus source={source} {...props} />);
  await act(async () => undefined);
  return source;
}

const wait = (ms: number): void => act(() => void jest.advanceTimersByTime(ms));
const bar = () => screen.queryByRole('progressbar');

it('is a bar with words, said after the counts', async () => {
  await show(12, { expected: 40 });
  expect(screen.getByText('12 of 40 done')).toBeTruthy();
  expect(bar()?.props).toMatchObject({ 'aria-label': '12 of 40 done', 'aria-valuemax': 40, 'aria-valuenow': 12 });
  wait(4_000);
  expect(screen.getByLabelText('Live Updates. 12 queued, 3 processing, 12 completed. 12 of 40 done.')).toBeTruthy();
});

it('says how long the rest may take once the pace is known, and no more when they are done', async () => {
  const source = await show(0, { expected: 40, locale: 'id' });
  for (let completed = 1; completed <= 20; completed++) {
    wait(3_000);
    await act(async () => source.show({ status: counts(12, 3, completed) }));
  }
  expect(screen.getByText(/^(sekitar|paling lama) .* menit lagi$/)).toBeTruthy();
  await act(async () => source.show({ status: counts(0, 0, 41) }));
  expect(screen.getByText('40 dari 40 selesai')).toBeTruthy();
  expect(screen.queryByText(/lagi$/)).toBeNull();
});

it('makes way for what is wrong: nothing moves, or the connection is lost', async () => {
  const source = await show(0, { expected: 40, stuckAfterMs: 60_000 });
  for (let completed = 1; completed <= 20; completed++) {
    wait(3_000);
    await act(async () => source.show({ status: counts(12, 3, completed) }));
  }
  expect(screen.getByText(/left$/)).toBeTruthy();
  wait(60_000);
  expect(screen.getByText(/no progress for 1 min/)).toBeTruthy();
  expect(screen.queryByText(/left$/)).toBeNull();
  await act(async () => source.show({ state: 'offline' }));
  expect(screen.getByText('20 of 40 done')).toBeTruthy();
  expect(screen.queryByText(/left$/)).toBeNull();
});

it.each([undefined, null, 0, -1, NaN, 2.5, '40' as never])('adds nothing for %j', async (expected) => {
  await show(12, { expected });
  expect(bar()).toBeNull();
});
