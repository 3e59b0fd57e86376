import type { StatusSnapshot } from '../types.js';

/** Every colour of the legend, and what the surface behind it is made of. */
export interface Theme {
  readonly tint: 'light' | 'dark';
  readonly gradient: readonly [string, string];
  readonly title: string;
  readonly label: string;
  readonly value: string;
  readonly divider: string;
  readonly dots: { readonly queued: string; readonly processing: string; readonly completed: string };
  /** The indicator. `live` is the only green one. */
  readonly live: string;
  readonly connecting: string;
  readonly trouble: string;
  readonly quiet: string;
}

const dots = { queued: '#FFB74D', processing: '#1E90FF', completed: '#4CAF50' } as const;

export const lightTheme: Theme = {
  tint: 'light',
  gradient: ['rgba(255,255,255,0.95)', 'rgba(240,248,255,0.98)'],
  title: '#0047AB',
  label: '#666',
  value: '#1E90FF',
  divider: 'rgba(30, 144, 255, 0.2)',
  dots,
  live: '#4CAF50',
  connecting: '#1976D2',
  trouble: '#B45309',
  quiet: '#757575',
};

export const darkTheme: Theme = {
  tint: 'dark',
  gradient: ['rgba(28,36,52,0.92)', 'rgba(17,24,39,0.96)'],
  title: '#9CC8FF',
  label: '#A7B0BE',
  value: '#63B3FF',
  divider: 'rgba(99, 179, 255, 0.22)',
  dots,
  live: '#66D06B',
  connecting: '#63B3FF',
  trouble: '#FFB74D',
  quiet: '#9AA4B2',
};

export const themes = { light: lightTheme, dark: darkTheme } as const;

/** The indicator's colour. */
export function indicatorColor(theme: Theme, { state, error }: StatusSnapshot): string {
  if (state === 'live') return theme.live;
  if (state === 'stale' || error) return theme.trouble;
  return state === 'connecting' ? theme.connecting : theme.quiet;
}
