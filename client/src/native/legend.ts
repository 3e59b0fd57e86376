import type { StyleProp, ViewStyle } from 'react-native';
import { createLegend } from '../ui/legend.js';
import type { LegendProps as Props } from '../ui/props.js';
import { ExpoSurface } from './surface.js';

export type LegendProps = Props<StyleProp<ViewStyle>>;

/** The live legend on frosted glass. */
export const RealtimeStorageStatus = createLegend(ExpoSurface);
