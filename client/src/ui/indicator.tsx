import type { ReactNode } from 'react';
import { Platform, Pressable, Text, View } from 'react-native';
import type { StatusClient } from '../types.js';
import { duration, fill, type Labels, labelOf } from './labels.js';
import type { Shown } from './observation.js';
import type { ExtraStages } from './stages.js';
import { extras, styles } from './styles.js';
import { indicatorColors, type Theme } from './theme.js';
import { useUnhurried } from './use-unhurried.js';

/** What comes after the indicator's word: since when it has been so. */
function detailOf(labels: Labels, { asOf, stuckMinutes }: Shown): string | null {
  if (stuckMinutes !== null) return fill(labels.stuck, { time: duration(labels, stuckMinutes) });
  return asOf === null ? null : fill(labels.asOf, { time: asOf });
}

function summaryOf({ shown: { status }, labels, extra, progress, formatCount }: IndicatorLineProps): string {
  if (!status) return '';
  const [queued, processing, completed] = [status.queued, status.processing, status.completed].map(formatCount);
  const three = { queued: queued ?? '', processing: processing ?? '', completed: completed ?? '' };
  const further = Object.entries(status.extra ?? {}).map(
    ([item, count]) => `${labelOf(labels, extra, item)}: ${formatCount(count)}.`,
  );
  const words = progress.filter((each) => each !== null).join(', ');
  return [fill(labels.summary, three), ...further, ...(words ? [`${words}.`] : [])].join(' ');
}

interface IndicatorLineProps {
  readonly client: StatusClient;
  readonly shown: Shown;
  readonly labels: Labels;
  readonly extra: ExtraStages;
  /** How many of those that are expected are done, and how long the others may take. */
  readonly progress: readonly (string | null)[];
  readonly formatCount: (count: number) => string;
  readonly theme: Theme;
}

/** Whether the numbers are live, to see; and with the numbers, in a sentence, to hear. */
export function IndicatorLine(props: IndicatorLineProps): ReactNode {
  const { client, shown, labels, theme } = props;
  const color = indicatorColors(theme, shown);
  const words = labels[shown.indicator];
  const detail = detailOf(labels, shown);
  const isWeb = Platform.OS === 'web';
  // The web hears texts of a live region, and reads the indicator's own; Android hears the region's label.
  const state = !isWeb
    ? [words, detail].filter(Boolean).join(' ') + '.'
    : shown.indicator === 'live'
      ? ''
      : labels.notLive;
  const spoken = useUnhurried(client, `${state} ${summaryOf(props)}`.trim());
  const textStyle = [styles.liveText, { color: color.text }];
  return (
    <>
      <View
        style={styles.liveIndicator}
        {...(!isWeb && {
          accessible: true,
          accessibilityLiveRegion: 'polite',
          accessibilityLabel: spoken || undefined,
        })}
      >
        <View style={[styles.liveDot, { backgroundColor: color.dot }]} />
        {detail === null ? (
          <Text style={textStyle}>{words}</Text>
        ) : (
          <Text style={textStyle}>
            <Text style={textStyle}>{words}</Text>
            {' · '}
            <Text style={extras.detail}>{detail}</Text>
          </Text>
        )}
      </View>
      {isWeb && (
        <Text role="status" accessibilityLiveRegion="polite" style={extras.onlyHeard}>
          {spoken}
        </Text>
      )}
    </>
  );
}

interface WayOutProps {
  readonly label: string;
  readonly theme: Theme;
  readonly onPress: () => void;
}

/** The button in a state that does not end by itself. */
export function WayOut({ label, theme, onPress }: WayOutProps): ReactNode {
  return (
    <Pressable accessibilityRole="button" onPress={onPress} style={[extras.button, { borderColor: theme.title }]}>
      <Text style={[extras.buttonText, { color: theme.title }]}>{label}</Text>
    </Pressable>
  );
}
