import { useEffect, useState, useSyncExternalStore } from 'react';

type Name = 'light' | 'dark';

const system = matchMedia('(prefers-color-scheme: dark)');
const watchSystem = (onChange: () => void): (() => void) => {
  system.addEventListener('change', onChange);
  return () => system.removeEventListener('change', onChange);
};

/** The system's theme until the person chooses the other one. */
export function useTheme(): { name: Name; other: Name; toggle: () => void } {
  const dark = useSyncExternalStore(watchSystem, () => system.matches);
  const [chosen, choose] = useState<Name | null>(null);
  const name = chosen ?? (dark ? 'dark' : 'light');
  const other = name === 'dark' ? 'light' : 'dark';
  useEffect(() => {
    document.documentElement.dataset.theme = name;
  }, [name]);
  return { name, other, toggle: () => choose(other) };
}
