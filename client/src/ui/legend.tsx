/** The legend, without what it stands on: a surface is given, so that the web needs no Expo. */
import { type ComponentType, Fragment, type ReactNode, useMemo } from 'react';
import { Platform, type StyleProp, Text, type TextProps, View, type ViewStyle } from 'react-native';
import { clientOf } from '../react/source.js';
import type { StatusClient } from '../types.js';
import { IndicatorLine, WayOut } from './indicator.js';
import { Item } from './item.js';
import { fill, type Labels, labelOf, timeLeft, withOwnWords } from './labels.js';
import { wordingOf } from './locale.js';
import type { Indicator } from './observation.js';
import { ProgressLine } from './progress-line.js';
import type { LegendProps } from './props.js';
import { isExpected } from './progress.js';
import { countsOf } from './stages.js';
import { stacked, styles } from './styles.js';
import { dotOf, type Theme } from './theme.js';
import { usePulse } from './use-pulse.js';
import { useReducedMotion } from './use-reduced-motion.js';
import { useShown } from './use-shown.js';
import { useStacking } from './use-stacking.js';
import { useTheme } from './use-theme.js';

export interface SurfaceProps {
  readonly theme: Theme;
  readonly style: StyleProp<ViewStyle>;
  readonly contentStyle: StyleProp<ViewStyle>;
  readonly testID: string | undefined;
  readonly children: ReactNode;
}

const STUCK_AFTER_MS = 10 * 60_000;

/** React Native's types do not know the level. */
const heading = (level: number) =>
  ({ accessibilityRole: 'header', ...(Platform.OS === 'web' && { 'aria-level': level }) }) as TextProps;

/** The button of a state that does not end by itself. After signing in there is no need to wait for the next look. */
function wayOutOf(
  indicator: Indicator,
  labels: Labels,
  { refresh }: StatusClient,
  onSignIn: LegendProps<unknown>['onSignIn'],
) {
  if (indicator === 'unauthorized' && onSignIn) {
    return { label: labels.signIn, onPress: () => void Promise.resolve(onSignIn()).then(refresh, refresh) };
  }
  return indicator === 'unauthorized' || indicator === 'rejected' ? { label: labels.retry, onPress: refresh } : null;
}

/** Makes the component for one kind of surface. */
export function createLegend(Surface: ComponentType<SurfaceProps>) {
  return function RealtimeStorageStatus(props: LegendProps<StyleProp<ViewStyle>>): ReactNode {
    const { source, caseId, locale, pulse = 'changed', onSignIn, stuckAfterMs = STUCK_AFTER_MS } = props;
    const { extra, expected, headingLevel = 1, style, testID } = props;
    const { labels: words, formatCount } = useMemo(() => wordingOf(locale), [locale]);
    const labels = withOwnWords(words, props.labels);
    const theme = useTheme(props.theme);
    const client = clientOf(source, caseId);
    const shown = useShown(client, stuckAfterMs, expected);
    const { status, indicator } = shown;
    const scaleOf = usePulse(client, status, pulse, useReducedMotion());
    const counts = countsOf(status);
    const { isStacked, onRowLayout, fit } = useStacking(counts.size);

    const { done } = shown;
    const progress = done !== null &&
      isExpected(expected) && {
        done,
        expected,
        words: fill(labels.progress, { done: formatCount(done), expected: formatCount(expected) }),
        left: timeLeft(labels, shown.fromMinutes, shown.toMinutes),
      };
    const wayOut = wayOutOf(indicator, labels, client, onSignIn);

    return (
      <Surface theme={theme} style={[styles.container, style]} contentStyle={styles.gradient} testID={testID}>
        <Text {...heading(headingLevel)} style={[styles.title, { color: theme.title }]}>
          {indicator === 'live' ? labels.title : labels.titleNotLive}
        </Text>
        <View onLayout={onRowLayout} style={[styles.statusRow, isStacked && stacked.statusRow]}>
          {[...counts].map(([item, count], index) => (
            <Fragment key={item}>
              {index > 0 && (
                <View style={[styles.divider, isStacked && stacked.divider, { backgroundColor: theme.divider }]} />
              )}
              <Item
                label={labelOf(labels, extra, item)}
                count={count}
                formatCount={formatCount}
                unknown={labels.unknown}
                dot={dotOf(theme, extra, item)}
                theme={theme}
                scale={scaleOf(item)}
                isConfirmed={indicator === 'live'}
                isStacked={isStacked}
                labelFit={fit(`${item} label`)}
                valueFit={fit(`${item} value`)}
              />
            </Fragment>
          ))}
        </View>
        {progress && <ProgressLine {...progress} isConfirmed={indicator === 'live'} theme={theme} />}
        <IndicatorLine
          client={client}
          shown={shown}
          labels={labels}
          extra={extra}
          progress={progress ? [progress.words, progress.left] : []}
          formatCount={formatCount}
          theme={theme}
        />
        {wayOut && <WayOut {...wayOut} theme={theme} />}
      </Surface>
    );
  };
}
