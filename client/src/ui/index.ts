export { english, indonesian, type Labels } from './labels.js';
export { type Locale, locales } from './locale.js';
export type { PulseMode } from './props.js';
export type { ExtraStage, ExtraStages } from './stages.js';
export { darkTheme, lightTheme, type OwnTheme, type Theme, type ThemeChoice } from './theme.js';
