/** What the legend shows: the existing component's look, and the truth about the connection. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { act, fireEvent, render, screen } from '@testing-library/react-native';
import { useColorScheme } from 'react-native';
import { StatusError } from '../../src/errors.js';
import { english, indonesian, RealtimeStorageStatus } from '../../src/native/index.js';
import type { StatusSnapshot } from '../../src/types.js';
import { lightTheme } from '../../src/ui/theme.js';
import type { LegendProps } from '../../src/native/index.js';
import { counts, type FakeSource, fakeSource } from '../support/fake-source.js';

const live = { status: counts(12, 3, 85), state: 'live' } as const;

async function show(first: Partial<StatusSnapshot>, props: Partial<LegendProps> = {}): Promise<FakeSource> {
  const source = fakeSource(first);
  render(<RealtimeStorageStatus source={source} testID="legend" {...props} />);
  await act(async () => undefined);
  return source;
}

interface Node {
  type: string;
  props: {
    style?: unknown;
    colors?: unknown;
    accessibilityLabel?: string;
    accessibilityLiveRegion?: string;
    onLayout?: (event: unknown) => void;
    onTextLayout?: (event: unknown) => void;
  };
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

/** Its green words cannot be read at their size on white: the dot keeps the colour, the words are darker. */
function legibleSeedStyles(): Record<string, Record<string, unknown>> {
  const seed = seedStyles();
  return { ...seed, liveText: { ...seed.liveText, color: lightTheme.liveText } };
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
  const seed = legibleSeedStyles();
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
const rejected = new StatusError('rejected', 'Check baseUrl and versions.', undefined, 400);
const notReady = new StatusError('http', 'No status (503).', undefined, 503, 5_000, 'counts-not-ready');
const TITLE = '📊 Storage Status (Live)';
const TITLE_NOT_LIVE = '📊 Storage Status';
const states: readonly [string, Partial<StatusSnapshot>, string, string][] = [
  ['live', live, 'Live Updates', '#4CAF50'],
  ['connecting', { state: 'connecting' }, 'Connecting…', lightTheme.connecting],
  ['never connected', { state: 'connecting', error: network }, 'Connecting…', lightTheme.trouble],
  ['not ready', { state: 'connecting', error: notReady }, 'Not ready yet', lightTheme.trouble],
  ['stale', { ...live, state: 'stale', error: network }, 'Connection lost, retrying…', lightTheme.trouble],
  ['offline', { ...live, state: 'offline' }, 'Offline', lightTheme.quiet],
  ['background', { ...live, state: 'stopped', reason: 'background' }, 'Paused', lightTheme.quiet],
  [
    'unauthorized',
    { state: 'stopped', reason: 'unauthorized', error: network },
    'Sign in to continue',
    lightTheme.trouble,
  ],
  ['rejected', { state: 'connecting', error: rejected }, 'Updates unavailable', lightTheme.trouble],
];
it.each(states)('%s: the indicator says so, green only when live', async (name, snapshot, label, color) => {
  await show(snapshot);
  expect(text(label)).toBeDefined();
  const isLive = name === 'live';
  expect([style(text(label)).color, dotOfIndicator()]).toEqual([isLive ? lightTheme.liveText : color, color]);
  expect(dotOfIndicator() === '#4CAF50').toBe(isLive);
  expect([text(TITLE) !== undefined, text(TITLE_NOT_LIVE) !== undefined]).toEqual([isLive, !isLive]);
});

it('goes from green to trouble and back as the connection does, and numbers that nobody confirms lose their colour', async () => {
  const source = await show(live);
  const look = () => [dotOfIndicator(), style(text('12')).color, text(TITLE) !== undefined];
  expect(look()).toEqual(['#4CAF50', '#1E90FF', true]);
  act(() => source.show({ state: 'stale', error: network }));
  expect(look()).toEqual([lightTheme.trouble, lightTheme.unconfirmed, false]);
  act(() => source.show({ state: 'live', error: null }));
  expect(look()).toEqual(['#4CAF50', '#1E90FF', true]);
});

it('the first frame is about to connect, not paused', async () => {
  await show({ state: 'stopped', reason: 'idle' });
  expect(text('Connecting…')).toBeDefined();
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

it('is accessible: a label and a role for each item, one heading, one polite live region', async () => {
  await show(live);
  for (const label of ['Queued: 12', 'Processing: 3', 'Completed: 85']) {
    expect(screen.getByLabelText(label).props).toMatchObject({ accessible: true, accessibilityRole: 'text' });
  }
  expect(screen.getAllByRole('header')).toHaveLength(1);
  expect(screen.getByRole('header', { name: TITLE })).toBeTruthy();
  expect(nodes().filter((node) => node.props.accessibilityLiveRegion === 'polite')).toHaveLength(1);
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
  expect(style(text(TITLE)).color).toBe('#123456');
});

it.each<[unknown, string]>([
  ['dark', 'dark'],
  ['light', 'light'],
  [null, 'light'],
  [undefined, 'light'],
  ['unspecified', 'light'],
])('theme `auto` follows a system that says %j', async (scheme, tint) => {
  // The preset makes a mock of it.
  jest.mocked(useColorScheme).mockReturnValue(scheme as never);
  await show(live, { theme: 'auto' });
  expect(nodes().find((node) => 'intensity' in node.props)?.props).toMatchObject({ tint });
});

it.each<[Record<string, unknown>]>([
  [{ theme: null, locale: null, labels: null, style: null }],
  [{ theme: 'unspecified', locale: 'xx-YY', labels: { queued: undefined, live: null } }],
  [{ theme: 7, locale: {}, labels: 'none', stuckAfterMs: Number.NaN }],
  [{ theme: { title: undefined, dots: undefined }, locale: '', stuckAfterMs: -1 }],
  [{ theme: [], locale: 'constructor', stuckAfterMs: Infinity, onSignIn: undefined }],
])('whatever %j is, there are words and numbers', async (props) => {
  await show(live, props);
  expect(text('Queued')).toBeDefined();
  expect(text('Live Updates')).toBeDefined();
  expect(text('12')).toBeDefined();
  expect(JSON.stringify(screen.toJSON())).not.toMatch(/undefined|NaN|\[object/);
});

it('writes long numbers as the locale does, and says them plainly', async () => {
  await show({ state: 'live', status: counts(1_234_567, 1_000, 0) }, { locale: 'id_ID' });
  expect(text('1.234.567')).toBeDefined();
  expect(text('1.000')).toBeDefined();
  expect(screen.getByLabelText('Antrean: 1234567')).toBeTruthy();
});

describe('as time passes', () => {
  beforeEach(() => jest.useFakeTimers({ now: new Date(2026, 10, 22, 15, 56) }));
  afterEach(() => jest.useRealTimers());
  const pass = (ms: number): void => act(() => void jest.advanceTimersByTime(ms));

  it('lost numbers say since when, at the end of the indicator', async () => {
    const source = await show(live);
    pass(30_000);
    act(() => source.show({ state: 'stale', error: network }));
    expect(screen.getByText('Connection lost, retrying…')).toBeTruthy();
    expect(screen.getByText('as of 15:56')).toBeTruthy();
    act(() => source.show({ state: 'offline' }));
    pass(3_600_000);
    expect(screen.getByText('Offline')).toBeTruthy();
    expect(screen.getByText('as of 15:56')).toBeTruthy();
    act(() => source.show({ state: 'live', error: null }));
    expect(screen.queryByText(/as of/)).toBeNull();
  });

  it('green does not lie: no progress for ten minutes is said, and anything that moves ends it', async () => {
    const source = await show(live);
    pass(10 * 60_000 - 1000);
    expect(screen.queryByText(/no progress/)).toBeNull();
    pass(1000);
    expect(screen.getByText('no progress for 10 min')).toBeTruthy();
    expect(dotOfIndicator()).toBe(lightTheme.trouble);
    pass(50 * 60_000);
    expect(screen.getByText('no progress for 60 min')).toBeTruthy();
    pass(60 * 60_000);
    expect(screen.getByText('no progress for 2 h')).toBeTruthy();
    act(() => source.show({ status: counts(11, 4, 85) }));
    expect(screen.queryByText(/no progress/)).toBeNull();
    expect(dotOfIndicator()).toBe('#4CAF50');
  });

  it('that can be had sooner, and not at all; the time goes on while no legend is there', async () => {
    const source = await show(live, { stuckAfterMs: 60_000 });
    pass(60_000);
    expect(screen.getByText('no progress for 1 min')).toBeTruthy();
    screen.rerender(<RealtimeStorageStatus source={source} stuckAfterMs={null} />);
    pass(3_600_000);
    expect(screen.queryByText(/no progress/)).toBeNull();
    screen.unmount();
    render(<RealtimeStorageStatus source={source} />);
    expect(screen.getByText('no progress for 61 min')).toBeTruthy();
  });

  it('a screen reader hears a sentence with the last numbers, every few seconds at most', async () => {
    const source = await show(live);
    const region = () => nodes().find((node) => node.props.accessibilityLiveRegion)?.props.accessibilityLabel;
    const heard = [region()];
    for (let quarter = 0; quarter < 40; quarter += 1) {
      act(() => source.show({ status: counts(12 + quarter, 3, 85) }));
      pass(250);
      if (region() !== heard.at(-1)) heard.push(region());
    }
    expect(heard).toEqual([
      undefined,
      'Live Updates. 27 queued, 3 processing, 85 completed.',
      'Live Updates. 43 queued, 3 processing, 85 completed.',
    ]);
    act(() => source.show({ state: 'stale', error: network }));
    pass(4000);
    expect(region()).toBe('Connection lost, retrying… as of 15:56. 51 queued, 3 processing, 85 completed.');
  });

  it('coming back does not blink, and an answer that does not come is told', async () => {
    const source = await show(live);
    act(() => source.show({ state: 'stopped', reason: 'background' }));
    expect(screen.getByText('Paused')).toBeTruthy();
    pass(5_000);
    act(() => source.show({ state: 'connecting', reason: null }));
    expect(screen.getByText('Live Updates')).toBeTruthy();
    pass(1000);
    expect(screen.getByText('Connecting…')).toBeTruthy();
    expect(screen.getByText('as of 15:56')).toBeTruthy();
  });
});

describe('a dead end has a way out', () => {
  it.each<[string, Partial<StatusSnapshot>]>([
    ['unauthorized', { state: 'stopped', reason: 'unauthorized', error: network }],
    ['rejected', { ...live, state: 'stale', error: rejected }],
  ])('%s: try again', async (_, snapshot) => {
    const source = await show(snapshot);
    fireEvent.press(screen.getByRole('button', { name: 'Try again' }));
    expect(source.refreshed).toBe(1);
  });

  it('signs in where the app can, and goes on at once when that is over, however it ended', async () => {
    for (const end of [() => undefined, () => Promise.resolve(), () => Promise.reject(new Error('cancelled'))]) {
      const onSignIn = jest.fn(end);
      const source = await show({ state: 'stopped', reason: 'unauthorized', error: network }, { onSignIn });
      fireEvent.press(screen.getByRole('button', { name: 'Sign in' }));
      await act(async () => undefined);
      expect([onSignIn.mock.calls.length, source.refreshed]).toEqual([1, 1]);
      screen.unmount();
    }
  });

  it.each([
    ['live', live],
    ['stale', { ...live, state: 'stale', error: network }],
    ['offline', { ...live, state: 'offline' }],
    ['paused', { ...live, state: 'stopped', reason: 'background' }],
  ] as const)('%s needs none', async (_, snapshot) => {
    await show(snapshot);
    expect(screen.queryByRole('button')).toBeNull();
  });
});

describe('columns that are too narrow', () => {
  /** With the handlers that are there now. */
  const fresh = () => nodes(screen.toJSON() as unknown as Node);
  const row = () => fresh().find((node) => node.props.onLayout && !node.props.onTextLayout);
  const stacks = () => style(row()).flexDirection === 'column';
  const wide = (width: number) => act(() => row()?.props.onLayout?.({ nativeEvent: { layout: { width } } }));
  const lines = (value: string, ...widths: number[]) => {
    const found = fresh().find((node) => node.children?.join('') === value);
    act(() => found?.props.onTextLayout?.({ nativeEvent: { lines: widths.map((width) => ({ width })) } }));
  };

  it('stand side by side while the texts fit, one under the other while one does not', async () => {
    await show(live);
    expect(stacks()).toBe(false);
    wide(280);
    lines('12', 30);
    lines('Processing', 64);
    expect(stacks()).toBe(false);
    lines('85', 84, 50); // broken in two
    expect(stacks()).toBe(true);
    lines('85', 134); // now in one
    expect(stacks()).toBe(true);
    wide(900);
    expect(stacks()).toBe(false);
    wide(280);
    lines('85', 30);
    expect(stacks()).toBe(false);
    lines('Processing', 128); // large text
    expect(stacks()).toBe(true);
  });

  it('a number that a whole line is too short for becomes smaller, and settles', async () => {
    await show(live);
    wide(280);
    lines('85', 272, 68);
    expect(style(text('85')).fontSize).toBeCloseTo(24 * 0.8);
    lines('85', 271);
    lines('85', 273);
    expect(style(text('85')).fontSize).toBeCloseTo(24 * 0.8);
    expect(style(text('12')).fontSize).toBe(24);
    lines('85', 40);
    expect(style(text('85')).fontSize).toBe(24);
  });

  it('lie on a line each, so that nothing has the height of another', async () => {
    await show(live);
    wide(280);
    lines('85', 200);
    const item = nodes().find((node) => node.props.accessibilityLabel === 'Queued: 12');
    expect(style(item)).toMatchObject({ flexDirection: 'row', flexWrap: 'wrap', flexBasis: 'auto', flexGrow: 0 });
    expect(nodes().filter((node) => style(node).width === '100%' && style(node).height === 1)).toHaveLength(2);
  });
});

it('lets go of its source when it is unmounted', async () => {
  const source = await show(live);
  expect(source.watchers).toBe(1);
  screen.unmount();
  expect(source.watchers).toBe(0);
});
