import { useEffect, useState } from 'react';
import { AccessibilityInfo } from 'react-native';

/** Whether the person asked the system for less motion. */
export function useReducedMotion(): boolean {
  const [reduced, setReduced] = useState(false);
  useEffect(() => {
    let mounted = true;
    const set = (value: boolean): void => {
      if (mounted) setReduced(value);
    };
    AccessibilityInfo.isReduceMotionEnabled().then(set, () => undefined);
    // react-native-web returns nothing where there is no `matchMedia`.
    const subscription = AccessibilityInfo.addEventListener('reduceMotionChanged', set);
    return () => {
      mounted = false;
      subscription?.remove();
    };
  }, []);
  return reduced;
}
