export { english, indonesian, type Labels } from './labels.js';
export type { LegendProps } from './legend.js';
export { type Locale, locales } from './locale.js';
export { darkTheme, lightTheme, type Theme, type ThemeChoice } from './theme.js';
export type { PulseMode } from './use-pulse.js';
