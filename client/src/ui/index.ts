export { english, indonesian, type Labels, type Locale, locales } from './labels.js';
export type { PulseMode } from './props.js';
export { darkTheme, lightTheme, type Theme } from './theme.js';
