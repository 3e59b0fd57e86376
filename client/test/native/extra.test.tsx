/** Folders beside the three on the legend: an item each, with a word, a colour and a voice of its own. */
import { act, render, screen } from '@testing-library/react-native';
import { StyleSheet } from 'react-native';
import { type LegendProps, RealtimeStorageStatus } from '../../src/native/index.js';
import type { StorageStatus } from '../../src/types.js';
import { itemsToPulse } from '../../src/ui/use-pulse.js';
import { counts, type FakeSource, fakeSource } from '../support/fake-source.js';

const withExtra = (extra: Record<string, number>): StorageStatus => ({ ...counts(12, 3, 85), extra });

async function show(extra: Record<string, number>, props: Partial<LegendProps> = {}): Promise<FakeSource> {
  const source = fakeSource({ state: 'live', status: withExtra(extra) });
  render(<RealtimeStorageStatus source={source} {...props} />);
  await act(async () => undefined);
  return source;
}

interface Node {
  readonly props: { readonly style?: unknown; readonly accessibilityLabel?: string };
  readonly children: readonly (Node | string)[] | null;
}
const nodes = (node: Node | string = screen.toJSON() as unknown as Node): readonly Node[] =>
  typeof node === 'string' ? [] : [node, ...(node.children ?? []).flatMap((child) => nodes(child))];
const styleOf = (node: Node) => StyleSheet.flatten(node.props.style as object) as Record<string, unknown> | undefined;
const dots = () =>
  nodes()
    .map(styleOf)
    .filter((style) => style?.width === 12)
    .map((style) => style?.backgroundColor);
const items = () => nodes().flatMap(({ props }) => props.accessibilityLabel ?? []);

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());
/** Until the live region has said what there is. */
const listen = (): void => act(() => void jest.advanceTimersByTime(4_000));

it('is the fourth item: red, with a label, and said after the three', async () => {
  await show({ failed: 2 });
  listen();
  expect(items()).toEqual([
    'Queued: 12',
    'Processing: 3',
    'Completed: 85',
    'Failed: 2',
    'Live Updates. 12 queued, 3 processing, 85 completed. Failed: 2.',
  ]);
  expect(dots()).toEqual(['#FFB74D', '#1E90FF', '#4CAF50', '#E53935']);
});

it('has an Indonesian word', async () => {
  await show({ failed: 1234 }, { locale: 'id-ID' });
  listen();
  expect(screen.getByLabelText('Gagal: 1234')).toBeTruthy();
  expect(screen.getByLabelText(/85 selesai\. Gagal: 1\.234\.$/)).toBeTruthy();
});

it('any other is called as the server calls it, in a colour that is none of the others', async () => {
  await show({ failed: 2, manual_review: 1, constructor: 5 });
  expect(items().slice(3, 6)).toEqual(['Failed: 2', 'Manual review: 1', 'Constructor: 5']);
  expect(dots().slice(3)).toEqual(['#E53935', '#AB47BC', '#AB47BC']);
});

it('an app names labels and colours of its own', async () => {
  await show(
    { failed: 2, review: 1 },
    {
      extra: { failed: { label: 'Rejected' }, review: { label: 'Under review', color: '#123456' } },
      theme: { dots: { failed: '#B00020' } },
    },
  );
  expect(items().slice(3, 5)).toEqual(['Rejected: 2', 'Under review: 1']);
  expect(dots()).toEqual(['#FFB74D', '#1E90FF', '#4CAF50', '#B00020', '#123456']);
});

it.each([null, {}, { failed: undefined }, { failed: { label: null, color: 7 } }, { failed: null }])(
  'what is no label and no colour does no harm: %j',
  async (extra) => {
    await show({ failed: 2 }, { extra: extra as never });
    expect([items()[3], dots()[3]]).toEqual(['Failed: 2', '#E53935']);
  },
);

it('is there only while the server counts it', async () => {
  const source = await show({ failed: 2 });
  act(() => source.show({ status: counts(12, 3, 85) }));
  expect(dots()).toHaveLength(3);
  act(() => source.show({ status: withExtra({ failed: 0 }) }));
  expect(screen.getByLabelText('Failed: 0')).toBeTruthy();
});

it('a change of a further count alone pulses that item; one that appears does not pulse', () => {
  const [before, now] = [withExtra({ failed: 2, review: 1 }), withExtra({ failed: 3, review: 1 })];
  expect(itemsToPulse(before, now, 'changed')).toEqual(['failed']);
  expect(itemsToPulse(before, now, 'all')).toEqual(['queued', 'processing', 'completed', 'failed', 'review']);
  expect(itemsToPulse(counts(12, 3, 85), now, 'changed')).toEqual([]);
});
