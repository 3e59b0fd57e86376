/** What the component takes. Free of react-native's types, which a web app need not have. */
import type { StatusSource } from '../react/source.js';
import type { Labels, Locale } from './labels.js';
import type { Theme } from './theme.js';

/** Which items pulse on an update: those whose number changed, or all of them. */
export type PulseMode = 'changed' | 'all';

/** `Style` is what the platform's views take. */
export interface LegendProps<Style> {
  /** A client, or the app's own `apiService`. */
  readonly source: StatusSource;
  /** Default `en`. */
  readonly locale?: Locale;
  /** Words of your own, over the locale's. */
  readonly labels?: Partial<Labels>;
  /** `light` (default), `dark`, or colours of your own over the light ones. */
  readonly theme?: 'light' | 'dark' | Partial<Theme>;
  /** Default `changed`: only the items whose number changed. */
  readonly pulse?: PulseMode;
  /** Over the container's style. */
  readonly style?: Style;
  readonly testID?: string;
}
