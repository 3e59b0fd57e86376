import type { ReactNode } from 'react';
import { Text, View } from 'react-native';
import { extras } from './styles.js';
import type { Theme } from './theme.js';

interface ProgressLineProps {
  readonly done: number;
  readonly expected: number;
  /** `12 of 40 done`. */
  readonly words: string;
  /** `about 2–4 min left`; `null` while that cannot be told. */
  readonly left: string | null;
  readonly isConfirmed: boolean;
  readonly theme: Theme;
}

/** How many of those that are expected are done: in words, as a bar, and how long the others may take. */
export function ProgressLine({ done, expected, words, left, isConfirmed, theme }: ProgressLineProps): ReactNode {
  const color = isConfirmed ? theme.liveText : theme.unconfirmed;
  return (
    <View
      accessible
      role="progressbar"
      aria-label={words}
      aria-valuemin={0}
      aria-valuemax={expected}
      aria-valuenow={done}
      aria-valuetext={[words, left].filter(Boolean).join(', ')}
      style={extras.progress}
    >
      <View style={extras.progressTexts}>
        <Text style={[extras.progressText, { color: theme.label }]}>{words}</Text>
        {left !== null && <Text style={[extras.progressText, { color: theme.label }]}>{left}</Text>}
      </View>
      <View style={[extras.track, { backgroundColor: theme.divider }]}>
        <View style={[extras.bar, { backgroundColor: color, width: `${(100 * done) / expected}%` }]} />
      </View>
    </View>
  );
}
