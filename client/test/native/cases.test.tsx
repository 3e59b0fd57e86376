/** The legend of one case: with another case it shows, says and estimates nothing of the former one. */
import { act, fireEvent, render, screen } from '@testing-library/react-native';
import { Animated, Text } from 'react-native';
import { type LegendProps, RealtimeStorageStatus, useStorageStatus } from '../../src/native/index.js';
import { StatusError } from '../../src/errors.js';
import { counts, type FakeSource, fakeSource } from '../support/fake-source.js';

let source: FakeSource;
beforeEach(() => {
  jest.useFakeTimers();
  source = fakeSource({ state: 'live', status: counts(900, 901, 902) });
});
afterEach(() => jest.useRealTimers());

const wait = (ms: number): void => act(() => void jest.advanceTimersByTime(ms));
const show = (caseId: string, ...numbers: [number, number, number]) =>
  act(async () => source.forCase(caseId).show({ state: 'live', status: counts(...numbers) }));
const legend = (caseId: string | null | undefined, props: Partial<LegendProps> = {}) => (
  <RealtimeStorageStatus source={source} caseId={caseId} {...props} />
);

interface Node {
  readonly props: Readonly<Record<string, unknown>>;
  readonly children: readonly (Node | string)[] | null;
}
const rendered = (): string => JSON.stringify(screen.toJSON(), (key, value: unknown) => (key === 'parent' ? undefined : value)); // prettier-ignore

/** Every text, and what a screen reader has to say. */
function told(node: Node | string = screen.toJSON() as unknown as Node): string {
  if (typeof node === 'string') return node;
  const words = [node.props.accessibilityLabel, node.props['aria-label'], node.props['aria-valuetext']];
  return [...words, ...(node.children ?? []).map((child) => told(child))].filter(Boolean).join('|');
}

it.each([undefined, null])('shows all images with %j, to the last byte as without the prop', async (none) => {
  const { rerender } = render(<RealtimeStorageStatus source={source} expected={1000} />);
  wait(4_000);
  const without = rendered();
  rerender(legend(none, { expected: 1000 }));
  expect(rendered()).toBe(without);
  expect(without).toContain('900');
});

it('shows its case, and connects with the next one without a number of the former', async () => {
  await show('a', 11, 12, 13);
  const { rerender } = render(legend('a'));
  wait(4_000);
  expect(screen.getByText('Live Updates')).toBeTruthy();
  expect(told()).toMatch(/\|11\|.*11 queued, 12 processing, 13 completed\./);
  expect(told()).not.toMatch(/\b90\d/);
  expect([source.watchers, source.forCase('a').watchers]).toEqual([0, 1]);

  rerender(legend('b'));
  expect(screen.getByText('Connecting…')).toBeTruthy();
  expect(screen.getAllByText('–')).toHaveLength(3);
  expect(told()).not.toMatch(/\b1[123]\b|\b90\d/);
  expect([source.forCase('a').watchers, source.forCase('b').watchers]).toEqual([0, 1]);
  await show('a', 66, 66, 66); // a late answer
  wait(4_000);
  expect(told()).not.toMatch(/66|\b1[123]\b/);

  await show('b', 21, 22, 23);
  wait(4_000);
  expect(told()).toMatch(/\|21\|.*21 queued, 22 processing, 23 completed\./);
});

it.each(['not known', 'known'])('its progress and its pace begin anew, where its numbers are %s', async (which) => {
  const { rerender } = render(legend('a', { expected: 40 }));
  for (let completed = 0; completed <= 20; completed++) {
    wait(3_000);
    await show('a', 12, 3, completed);
  }
  expect(screen.getByText('20 of 40 done')).toBeTruthy();
  expect(screen.getByText(/left$/)).toBeTruthy();
  if (which === 'known') await show('b', 12, 3, 25);
  rerender(legend('b', { expected: 40 }));
  expect(screen.queryByRole('progressbar')?.props['aria-valuenow']).toBe(which === 'known' ? 25 : undefined);
  expect(screen.queryByText(/left$/)).toBeNull();
  for (const completed of [25, 30]) {
    await show('b', 12, 3, completed);
    wait(3_000);
  }
  expect(screen.getByText('30 of 40 done')).toBeTruthy();
  expect(screen.queryByText(/left$/)).toBeNull();
});

it.each(['changed', 'all'] as const)(
  'the step to a case whose numbers are known is no change of them (%s)',
  async (pulse) => {
    const timing = jest.spyOn(Animated, 'timing');
    await show('a', 11, 12, 13);
    await show('b', 21, 22, 23);
    const { rerender } = render(legend('a', { pulse }));
    wait(1_000);
    timing.mockClear();
    rerender(legend('b', { pulse }));
    wait(1_000);
    const first = timing.mock.calls.length;
    rerender(legend('b', { pulse }));
    expect(first).toBe(pulse === 'all' ? 6 : 0); // as when it is mounted
    await show('b', 24, 22, 23);
    expect(timing.mock.calls.length).toBeGreaterThan(first);
  },
);

it('its button tries again for its case', async () => {
  const rejected = new StatusError('rejected', 'Check baseUrl and versions.', undefined, 400);
  source.forCase('a').show({ state: 'connecting', error: rejected });
  render(legend('a'));
  fireEvent.press(screen.getByText('Try again'));
  expect([source.refreshed, source.forCase('a').refreshed]).toEqual([0, 1]);
});

it('a case that nobody knows yet is not ready yet', async () => {
  const unknown = new StatusError('http', 'No status (404).', undefined, 404, null, 'case-unknown');
  source.forCase('a').show({ state: 'connecting', error: unknown });
  render(legend('a'));
  expect(screen.getByText('Not ready yet')).toBeTruthy();
});

it('a case that has not changed yet has its zeros, and no trouble with its time', async () => {
  await act(async () => source.forCase('a').show({ state: 'live', status: { ...counts(0, 0, 0), timestamp: '' } }));
  render(legend('a', { expected: 40 }));
  wait(20 * 60_000);
  expect(screen.getAllByText('0')).toHaveLength(3);
  expect(screen.getByText('0 of 40 done')).toBeTruthy();
  expect(screen.getByText('Live Updates')).toBeTruthy();
  expect(told()).not.toMatch(/Invalid|NaN|1970/);
});

it('the hook is of the new case in the very render in which it changes', async () => {
  const views: string[] = [];
  function View({ caseId }: { caseId?: string }) {
    const { state, status } = useStorageStatus(source, { caseId });
    views.push(`${caseId ?? 'all'} ${state} ${status?.queued ?? '-'}`);
    return <Text>{views.at(-1)}</Text>;
  }
  await show('a', 11, 12, 13);
  const { rerender } = render(<View caseId="a" />);
  rerender(<View caseId="b" />);
  await show('a', 66, 66, 66);
  await show('b', 21, 22, 23);
  rerender(<View />);
  expect(new Set(views)).toEqual(new Set(['a live 11', 'b connecting -', 'b live 21', 'all live 900']));
});
