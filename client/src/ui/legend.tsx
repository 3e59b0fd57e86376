/** The legend, without what it stands on: a surface is given, so that the web needs no Expo. */
import type { ComponentType, ReactNode } from 'react';
import { Animated, type StyleProp, Text, View, type ViewStyle } from 'react-native';
import { useStorageStatus } from '../react/use-storage-status.js';
import type { StatusSnapshot } from '../types.js';
import { indicatorLabel, type Labels, locales } from './labels.js';
import type { LegendProps } from './props.js';
import { styles } from './styles.js';
import { indicatorColor, type Theme, themes } from './theme.js';
import { COUNTS, usePulse } from './use-pulse.js';
import { useReducedMotion } from './use-reduced-motion.js';

export interface SurfaceProps {
  readonly theme: Theme;
  readonly style: StyleProp<ViewStyle>;
  readonly contentStyle: StyleProp<ViewStyle>;
  readonly testID: string | undefined;
  readonly children: ReactNode;
}

const NO_NUMBER = '–';

interface ItemProps {
  readonly label: string;
  readonly value: number | undefined;
  readonly unknown: string;
  readonly dot: string;
  readonly theme: Theme;
  readonly scale: Animated.Value;
  readonly confirmed: boolean;
}

function Item({ label, value, unknown, dot, theme, scale, confirmed }: ItemProps): ReactNode {
  return (
    <Animated.View
      accessible
      accessibilityLabel={`${label}: ${value ?? unknown}`}
      style={[styles.statusItem, { transform: [{ scale }] }]}
    >
      <View style={[styles.statusDot, { backgroundColor: dot }]} />
      <Text style={[styles.statusLabel, { color: theme.label }]}>{label}</Text>
      <Text style={[styles.statusValue, { color: theme.value }, !confirmed && styles.unconfirmed]}>
        {value ?? NO_NUMBER}
      </Text>
    </Animated.View>
  );
}

function Indicator({ snapshot, labels, theme }: { snapshot: StatusSnapshot; labels: Labels; theme: Theme }): ReactNode {
  const color = indicatorColor(theme, snapshot);
  return (
    <View accessibilityLiveRegion="polite" style={styles.liveIndicator}>
      <View style={[styles.liveDot, { backgroundColor: color }]} />
      <Text style={[styles.liveText, { color }]}>{indicatorLabel(labels, snapshot)}</Text>
    </View>
  );
}

/** Makes the component for one kind of surface. */
export function createLegend(Surface: ComponentType<SurfaceProps>) {
  return function RealtimeStorageStatus(props: LegendProps<StyleProp<ViewStyle>>): ReactNode {
    const { source, locale = 'en', pulse = 'changed', style, testID } = props;
    const labels: Labels = { ...locales[locale], ...props.labels };
    const theme: Theme = typeof props.theme === 'string' ? themes[props.theme] : { ...themes.light, ...props.theme };
    const snapshot = useStorageStatus(source);
    const { status, state } = snapshot;
    const scales = usePulse(status, pulse, useReducedMotion());
    const items = COUNTS.flatMap((count, index) => [
      ...(index ? [<View key={`before ${count}`} style={[styles.divider, { backgroundColor: theme.divider }]} />] : []),
      <Item
        key={count}
        label={labels[count]}
        value={status?.[count]}
        unknown={labels.unknown}
        dot={theme.dots[count]}
        theme={theme}
        scale={scales[count]}
        confirmed={state === 'live'}
      />,
    ]);
    return (
      <Surface theme={theme} style={[styles.container, style]} contentStyle={styles.gradient} testID={testID}>
        <Text accessibilityRole="header" style={[styles.title, { color: theme.title }]}>
          {labels.title}
        </Text>
        <View accessibilityLiveRegion="polite" style={styles.statusRow}>
          {items}
        </View>
        <Indicator snapshot={snapshot} labels={labels} theme={theme} />
      </Surface>
    );
  };
}
