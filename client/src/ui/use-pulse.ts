import { useEffect, useRef, useState } from 'react';
import { Animated, Platform } from 'react-native';
import type { StorageStatus } from '../types.js';
import type { PulseMode } from './props.js';
import { countsOf } from './stages.js';

const HALF_MS = 150;
const PEAK = 1.1;
/** The web has no native driver; asking for one there only warns. */
const useNativeDriver = Platform.OS !== 'web';

function pulse(scale: Animated.Value): Animated.CompositeAnimation {
  const to = (toValue: number) => Animated.timing(scale, { toValue, duration: HALF_MS, useNativeDriver });
  return Animated.sequence([to(PEAK), to(1)]);
}

/** Which items the step from one status to the next moves. What is there for the first time is no change, only news. */
export function itemsToPulse(
  before: StorageStatus | null,
  now: StorageStatus | null,
  mode: PulseMode,
): readonly string[] {
  if (!now || now === before) return [];
  const counts = countsOf(now);
  if (mode === 'all') return [...counts.keys()];
  const known = countsOf(before);
  return before ? [...counts.keys()].filter((item) => known.has(item) && known.get(item) !== counts.get(item)) : [];
}

/** A scale for each item: 1 → 1.1 → 1 on an update of the same `subject`. Still when `still` is true. */
export function usePulse(
  subject: object,
  status: StorageStatus | null,
  mode: PulseMode,
  still: boolean,
): (item: string) => Animated.Value {
  const [scaleOf] = useState(() => {
    const scales = new Map<string, Animated.Value>();
    return (item: string): Animated.Value => {
      const scale = scales.get(item) ?? new Animated.Value(1);
      scales.set(item, scale);
      return scale;
    };
  });
  const before = useRef({ subject, status: null as StorageStatus | null });
  useEffect(() => {
    const items = itemsToPulse(before.current.subject === subject ? before.current.status : null, status, mode);
    before.current = { subject, status };
    if (still) return;
    for (const item of items) pulse(scaleOf(item)).start();
  }, [subject, status, mode, still, scaleOf]);
  return scaleOf;
}
