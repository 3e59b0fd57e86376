export { english, indonesian, type Labels, type Locale, locales } from './labels.js';
export type { LegendProps } from './legend.js';
export { darkTheme, lightTheme, type Theme } from './theme.js';
export type { PulseMode } from './use-pulse.js';
