export { english, indonesian, type Labels } from './labels.js';
export { type Locale, locales } from './locale.js';
export type { PulseMode } from './props.js';
export { darkTheme, lightTheme, type Theme, type ThemeChoice } from './theme.js';
