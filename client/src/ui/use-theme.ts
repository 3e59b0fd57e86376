import { useSyncExternalStore } from 'react';
import { useColorScheme } from 'react-native';
import { type Theme, type ThemeChoice, themeOf } from './theme.js';

const never = () => () => undefined;

/** `auto` follows the system. A server does not know the system's scheme: what hydrates starts as it did, light. */
export function useTheme(choice: ThemeChoice): Theme {
  const scheme = useColorScheme();
  const isHydrated = useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
  return themeOf(choice === 'auto' ? isHydrated && scheme : choice);
}
