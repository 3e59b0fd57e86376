import type { Shown } from './observation.js';
import { type ExtraStages, isKnown, type Known } from './stages.js';

/** Every colour of the legend, and what the surface behind it is made of. */
export interface Theme {
  readonly tint: 'light' | 'dark';
  readonly gradient: readonly [string, string];
  /** Also buttons. */
  readonly title: string;
  readonly label: string;
  readonly value: string;
  /** Numbers that nobody confirms at the moment. */
  readonly unconfirmed: string;
  readonly divider: string;
  /** `other`: of further folders but `failed`. */
  readonly dots: Readonly<Record<Known | 'other', string>>;
  /** The indicator's dot while live, the only green one. */
  readonly live: string;
  /** The words beside it: the dot's green on white cannot be read at their size. */
  readonly liveText: string;
  /** The indicator's dot and words in other states. */
  readonly connecting: string;
  readonly trouble: string;
  readonly quiet: string;
}

const dots = {
  queued: '#FFB74D',
  processing: '#1E90FF',
  completed: '#4CAF50',
  failed: '#E53935',
  other: '#AB47BC',
} as const;

export const lightTheme: Theme = {
  tint: 'light',
  gradient: ['rgba(255,255,255,0.95)', 'rgba(240,248,255,0.98)'],
  title: '#0047AB',
  label: '#666',
  value: '#1E90FF',
  unconfirmed: '#5F6B7A',
  divider: 'rgba(30, 144, 255, 0.2)',
  dots,
  live: '#4CAF50',
  liveText: '#2A7430',
  connecting: '#1565C0',
  trouble: '#A34A06',
  quiet: '#666',
};

export const darkTheme: Theme = {
  tint: 'dark',
  gradient: ['rgba(28,36,52,0.92)', 'rgba(17,24,39,0.96)'],
  title: '#9CC8FF',
  label: '#A7B0BE',
  value: '#63B3FF',
  unconfirmed: '#A7B0BE',
  divider: 'rgba(99, 179, 255, 0.22)',
  dots,
  live: '#66D06B',
  liveText: '#66D06B',
  connecting: '#63B3FF',
  trouble: '#FFB74D',
  quiet: '#A7B0BE',
};

/** A name, colours of one's own over the light ones, or whatever React Native's `useColorScheme` gives. */
export type ThemeChoice = 'light' | 'dark' | 'auto' | 'unspecified' | OwnTheme | null | undefined;

/** What is left out is the light theme's. */
export type OwnTheme = Partial<Omit<Theme, 'dots'>> & { readonly dots?: Partial<Theme['dots']> };

/** Light for all that is neither `dark` nor colours. */
export function themeOf(choice: unknown): Theme {
  if (choice === 'dark') return darkTheme;
  if (typeof choice !== 'object' || choice === null) return lightTheme;
  const own = known(choice as OwnTheme);
  return { ...lightTheme, ...own, dots: { ...dots, ...known(own.dots ?? {}) } };
}

const known = <T extends object>(values: T): T =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== null)) as T;

/** The colour of an item's dot. */
export function dotOf({ dots }: Theme, extra: ExtraStages, item: string): string {
  const own = extra?.[item]?.color;
  return typeof own === 'string' ? own : dots[isKnown(item) ? item : 'other'];
}

/** The indicator's colours. */
export function indicatorColors(theme: Theme, { indicator, isTrouble }: Shown): { dot: string; text: string } {
  if (isTrouble) return { dot: theme.trouble, text: theme.trouble };
  if (indicator === 'live') return { dot: theme.live, text: theme.liveText };
  const color = indicator === 'connecting' ? theme.connecting : theme.quiet;
  return { dot: color, text: color };
}
