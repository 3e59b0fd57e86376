/**
 * For the web, by react-native-web (alias `react-native` to it in the bundler). No Expo package is needed.
 *
 * @packageDocumentation
 */
import { createLegend } from '../ui/legend.js';
import { CssSurface } from './surface.js';

/** The live legend on frosted glass. */
export const RealtimeStorageStatus = createLegend(CssSurface);

export * from '../index.js';
export * from '../react/index.js';
export * from '../ui/index.js';
