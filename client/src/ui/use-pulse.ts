import { useEffect, useRef, useState } from 'react';
import { Animated, Platform } from 'react-native';
import type { StorageStatus } from '../types.js';
import type { PulseMode } from './props.js';

export const COUNTS = ['queued', 'processing', 'completed'] as const;
export type Count = (typeof COUNTS)[number];
export type Scales = Readonly<Record<Count, Animated.Value>>;

const HALF_MS = 150;
const PEAK = 1.1;
/** The web has no native driver; asking for one there only warns. */
const useNativeDriver = Platform.OS !== 'web';

function pulse(scale: Animated.Value): Animated.CompositeAnimation {
  const to = (toValue: number) => Animated.timing(scale, { toValue, duration: HALF_MS, useNativeDriver });
  return Animated.sequence([to(PEAK), to(1)]);
}

/** Which items the step from one status to the next moves. The first status is no change, only news. */
export function itemsToPulse(
  before: StorageStatus | null,
  now: StorageStatus | null,
  mode: PulseMode,
): readonly Count[] {
  if (!now || now === before) return [];
  if (mode === 'all') return COUNTS;
  return before ? COUNTS.filter((count) => before[count] !== now[count]) : [];
}

/** A scale for each item: 1 → 1.1 → 1 on an update. Still when `still` is true. */
export function usePulse(status: StorageStatus | null, mode: PulseMode, still: boolean): Scales {
  const [scales] = useState<Scales>(() => ({
    queued: new Animated.Value(1),
    processing: new Animated.Value(1),
    completed: new Animated.Value(1),
  }));
  const before = useRef<StorageStatus | null>(null);
  useEffect(() => {
    const items = itemsToPulse(before.current, status, mode);
    before.current = status;
    if (still) return;
    for (const item of items) pulse(scales[item]).start();
  }, [status, mode, still, scales]);
  return scales;
}
