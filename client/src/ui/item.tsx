import type { ReactNode } from 'react';
import { Animated, Platform, Text, View } from 'react-native';
import { stacked, styles } from './styles.js';
import type { Theme } from './theme.js';
import type { TextFit } from './use-stacking.js';

const NO_NUMBER = '–';

/** A label needs a role on the web; on a phone `text` says that there is nothing to press. */
const ROLE = Platform.OS === 'web' ? ({ role: 'group' } as const) : ({ accessibilityRole: 'text' } as const);

const sized = ({ fontSize }: { fontSize: number }, { scale }: TextFit) => scale < 1 && { fontSize: fontSize * scale };

interface ItemProps {
  readonly label: string;
  readonly count: number | undefined;
  readonly formatCount: (count: number) => string;
  /** For screen readers, in place of the count. */
  readonly unknown: string;
  readonly dot: string;
  readonly theme: Theme;
  readonly scale: Animated.Value;
  readonly isConfirmed: boolean;
  readonly isStacked: boolean;
  readonly labelFit: TextFit;
  readonly valueFit: TextFit;
}

/** One count: dot, label and number. */
export function Item(props: ItemProps): ReactNode {
  const { label, count, theme, isStacked, labelFit, valueFit } = props;
  return (
    <Animated.View
      {...ROLE}
      accessible
      accessibilityLabel={`${label}: ${count ?? props.unknown}`}
      style={[styles.statusItem, isStacked && stacked.statusItem, { transform: [{ scale: props.scale }] }]}
    >
      <View style={[styles.statusDot, isStacked && stacked.statusDot, { backgroundColor: props.dot }]} />
      <Text
        {...labelFit.handlers}
        style={[
          styles.statusLabel,
          isStacked && stacked.statusLabel,
          sized(styles.statusLabel, labelFit),
          { color: theme.label },
        ]}
      >
        {label}
      </Text>
      <Text
        {...valueFit.handlers}
        style={[
          styles.statusValue,
          isStacked && stacked.statusValue,
          sized(styles.statusValue, valueFit),
          { color: props.isConfirmed ? theme.value : theme.unconfirmed },
        ]}
      >
        {count === undefined ? NO_NUMBER : props.formatCount(count)}
      </Text>
    </Animated.View>
  );
}
