'use client';
import type { ReactNode } from 'react';
import { createLegend } from '../ui/legend.js';
import type { LegendProps as Props } from '../ui/props.js';
import { CssSurface } from './surface.js';

/** A style as react-native-web takes it, without react-native's types: an object, or any nesting of lists of them. */
export type LegendStyle = object | false | null | undefined | readonly LegendStyle[];
export type LegendProps = Props<LegendStyle>;

/** The live legend on frosted glass. */
export const RealtimeStorageStatus = createLegend(CssSurface) as (props: LegendProps) => ReactNode;
