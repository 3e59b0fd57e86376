/** What the component takes. Free of react-native's types, which a web app need not have. */
import type { StatusSource } from '../react/source.js';
import type { CaseOptions } from '../types.js';
import type { Labels } from './labels.js';
import type { ExtraStages } from './stages.js';
import type { ThemeChoice } from './theme.js';

/** Which items pulse on an update: those whose number changed, or all of them. */
export type PulseMode = 'changed' | 'all';

/** `Style` is what the platform's views take. */
export interface LegendProps<Style> extends CaseOptions {
  /** A client, or the app's own `apiService`. */
  readonly source: StatusSource;
  /** A language tag as the system gives it, such as `id-ID`. Default `en`, also for languages that are not known. */
  readonly locale?: string | null | undefined;
  /** Words of your own, over the locale's. */
  readonly labels?: Partial<Labels> | null | undefined;
  /** Default `light`. `auto` follows the system; colours of your own go over the light ones. */
  readonly theme?: ThemeChoice;
  /** Labels and colours of the folders that the server counts beside the three, by their names. */
  readonly extra?: ExtraStages;
  /** Default `changed`: only the items whose number changed. */
  readonly pulse?: PulseMode | undefined;
  /**
   * How many images are to be completed in all, when the app knows: the legend adds "12 of 40 done", a bar, and how
   * long the rest may take once the pace is known. Without it nothing is added.
   */
  readonly expected?: number | null | undefined;
  /** Called by the button of "Sign in to continue". Without it that button tries again. */
  readonly onSignIn?: (() => unknown) | undefined;
  /**
   * In milliseconds; default 10 minutes. When no count has changed for so long though images are in process, the
   * legend says so and is not green. `null`: never.
   */
  readonly stuckAfterMs?: number | null | undefined;
  /** Of the title, on the web, where a page has its own; default 1. */
  readonly headingLevel?: 1 | 2 | 3 | 4 | 5 | 6 | undefined;
  /** Over the container's style. */
  readonly style?: Style;
  readonly testID?: string | undefined;
}
