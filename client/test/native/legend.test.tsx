/** What the legend shows: the existing component's look, and the truth about the connection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { act, render, screen } from '@testing-library/react-native';
import { StatusError } from '../../src/errors.js';
import { english, indonesian, RealtimeStorageStatus } from '../../src/native/index.js';
import type { StatusSnapshot } from '../../src/types.js';
import { lightTheme } from '../../src/ui/theme.js';
import type { LegendProps } from '../../src/native/index.js';
import { counts, type FakeSource, fakeSource } from './fake-source.js';

const live = { status: counts(12, 3, 85), state: 'live' } as const;

async function show(first: Partial<StatusSnapshot>, props: Partial<LegendProps> = {}): Promise<FakeSource> {
  const source = fakeSource(first);
  render(<RealtimeStorageStatus source={source} testID="legend" {...props} />);
  await act(async () => undefined);
  return source;
}

interface Node {
  type: string;
  props: { style?: unknown; colors?: unknown; accessibilityLabel?: string; accessibilityLiveRegion?: string };
  children: (Node | string)[] | null;
}

/** The rendered tree: the same objects until something is rendered. */
let seen: { json: string; tree: Node } | null = null;
function tree(): Node {
  const next = screen.toJSON() as unknown as Node;
  const json = JSON.stringify(next, (key, value: unknown) => (key === 'parent' ? undefined : value));
  if (seen?.json !== json) seen = { json, tree: next };
  return seen.tree;
}
const nodes = (node: Node | string = tree()): Node[] =>
  typeof node === 'string' ? [] : [node, ...(node.children ?? []).flatMap((child) => nodes(child))];
const style = (node: Node | undefined): Record<string, unknown> =>
  Object.assign({}, ...[node?.props.style].flat(9).filter(Boolean)) as Record<string, unknown>;
const text = (value: string): Node | undefined =>
  nodes().find((node) => node.type === 'Text' && node.children?.join('') === value);
const dotOfIndicator = (): string => String(style(nodes().find((node) => style(node).width === 8)).backgroundColor);

/** The style values of the existing component, read from its own code. */
function seedStyles(): Record<string, Record<string, unknown>> {
  const code = readFileSync(join(__dirname, '../seed/snippets/component.js'), 'utf8');
  const sheet = code.slice(code.indexOf('StyleSheet.create(') + 'StyleSheet.create('.length, code.lastIndexOf(');'));
  return new Function(`return ${sheet}`)() as Record<string, Record<string, unknown>>;
}

it('has the style values of the existing component, every one', async () => {
  await show(live);
  const label = text('Queued');
  const item = nodes().find((node) => node.props.accessibilityLabel === 'Queued: 12');
  const row = nodes().find((node) => node.children?.includes(item as Node));
  const ours = {
    container: tree(),
    gradient: nodes().find((node) => node.props.colors !== undefined),
    title: text('📊 Storage Status (Live)'),
    statusRow: row,
    statusItem: item,
    statusDot: item?.children?.[0] as Node,
    statusLabel: label,
    statusValue: text('12'),
    divider: row?.children?.[1] as Node,
    liveIndicator: nodes().find((node) => style(node).gap === 6),
    liveDot: nodes().find((node) => style(node).width === 8),
    liveText: text('Live Updates'),
  };
  const seed = seedStyles();
  expect(Object.keys(ours)).toEqual(Object.keys(seed));
  for (const [name, node] of Object.entries(ours))
    expect([name, style(node)]).toEqual([name, expect.objectContaining(seed[name])]);
  expect(Object.fromEntries(Object.entries(ours).map(([name, node]) => [name, style(node)]))).toMatchSnapshot();
});

it('has the title, the three items in order with their dots, the dividers and the glass', async () => {
  await show(live);
  expect(
    nodes()
      .filter((node) => node.type === 'Text')
      .map((node) => node.children?.join('')),
  ).toEqual(['📊 Storage Status (Live)', 'Queued', '12', 'Processing', '3', 'Completed', '85', 'Live Updates']);
  const dots = nodes()
    .filter((node) => style(node).width === 12)
    .map((node) => style(node).backgroundColor);
  expect(dots).toEqual(['#FFB74D', '#1E90FF', '#4CAF50']);
  expect(nodes().filter((node) => style(node).height === 50)).toHaveLength(2);
  const glass = nodes().find((node) => 'intensity' in node.props);
  expect(glass?.props).toMatchObject({ intensity: 80, tint: 'light' });
  expect(lightTheme.gradient).toEqual(['rgba(255,255,255,0.95)', 'rgba(240,248,255,0.98)']);
});

const network = new StatusError('network', 'gone');
const states: readonly [string, Partial<StatusSnapshot>, string, string][] = [
  ['live', live, 'Live Updates', '#4CAF50'],
  ['connecting', { state: 'connecting' }, 'Connecting…', lightTheme.connecting],
  ['never connected', { state: 'connecting', error: network }, 'Connection lost, retrying…', lightTheme.trouble],
  ['stale', { ...live, state: 'stale', error: network }, 'Connection lost, retrying…', lightTheme.trouble],
  ['offline', { ...live, state: 'offline' }, 'Offline', lightTheme.quiet],
  ['background', { ...live, state: 'stopped', reason: 'background' }, 'Paused', lightTheme.quiet],
  [
    'unauthorized',
    { state: 'stopped', reason: 'unauthorized', error: network },
    'Sign in to continue',
    lightTheme.trouble,
  ],
  [
    'rejected',
    { ...live, state: 'stale', error: new StatusError('rejected', 'no') },
    'Updates unavailable',
    lightTheme.trouble,
  ],
];
it.each(states)('%s: the indicator says so, green only when live', async (name, snapshot, label, color) => {
  await show(snapshot);
  expect(text(label)).toBeDefined();
  expect([style(text(label)).color, dotOfIndicator()]).toEqual([color, color]);
  expect(dotOfIndicator() === '#4CAF50').toBe(name === 'live');
});

it('goes from green to trouble and back as the connection does, and dims numbers that nobody confirms', async () => {
  const source = await show(live);
  expect([dotOfIndicator(), style(text('12')).opacity]).toEqual(['#4CAF50', undefined]);
  act(() => source.show({ state: 'stale', error: network }));
  expect([dotOfIndicator(), style(text('12')).opacity]).toEqual([lightTheme.trouble, 0.45]);
  act(() => source.show({ state: 'live', error: null }));
  expect([dotOfIndicator(), style(text('12')).opacity]).toEqual(['#4CAF50', undefined]);
});

it('shows a dash, not 0, for what is not known yet', async () => {
  await show({ state: 'connecting' });
  expect(nodes().filter((node) => node.children?.join('') === '–')).toHaveLength(3);
  expect(screen.getByLabelText('Queued: not known yet')).toBeTruthy();
  expect(text('0')).toBeUndefined();
});

it('shows 0 for a known 0', async () => {
  await show({ state: 'live', status: counts(0, 0, 0) });
  expect(nodes().filter((node) => node.children?.join('') === '0')).toHaveLength(3);
});

it('is accessible: one label an item, a header, polite live regions', async () => {
  await show(live);
  for (const label of ['Queued: 12', 'Processing: 3', 'Completed: 85']) {
    expect(screen.getByLabelText(label).props.accessible).toBe(true);
  }
  expect(screen.getByRole('header', { name: '📊 Storage Status (Live)' })).toBeTruthy();
  expect(nodes().filter((node) => node.props.accessibilityLiveRegion === 'polite')).toHaveLength(2);
});

it('speaks Indonesian, and the words of the app', async () => {
  await show(live, { locale: 'id', labels: { queued: 'Menunggu' } });
  expect(text(indonesian.live)).toBeDefined();
  expect(text('Menunggu')).toBeDefined();
  expect(Object.keys(indonesian)).toEqual(Object.keys(english));
});

it('wears the dark theme, and the colours of the app', async () => {
  await show(live, { theme: 'dark', style: { marginVertical: 0 } });
  expect(nodes().find((node) => 'intensity' in node.props)?.props).toMatchObject({ tint: 'dark' });
  expect(style(tree()).marginVertical).toBe(0);
  screen.unmount();
  await show(live, { theme: { title: '#123456' } });
  expect(style(text('📊 Storage Status (Live)')).color).toBe('#123456');
});

it('lets go of its source when it is unmounted', async () => {
  const source = await show(live);
  expect(source.watchers).toBe(1);
  screen.unmount();
  expect(source.watchers).toBe(0);
});
