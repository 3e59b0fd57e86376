/**
 * Is the app in use, is there a network: adapters for the browser and for React Native.
 *
 * The React Native ones take the modules as arguments, so that the core imports neither.
 */
import type { ActivitySource, NetworkSource } from './types.js';

type Listen = (type: string, run: () => void) => void;
interface EventTargetLike {
  addEventListener: Listen;
  removeEventListener: Listen;
}

const listen = (target: EventTargetLike, types: readonly string[], run: () => void): (() => void) => {
  for (const type of types) target.addEventListener(type, run);
  return () => {
    for (const type of types) target.removeEventListener(type, run);
  };
};

/** Active while the page is visible. `null` where there is no page. */
export function pageActivity(): ActivitySource | null {
  const page = globalThis.document as (EventTargetLike & { visibilityState: string }) | undefined;
  if (!page?.addEventListener) return null;
  return {
    subscribe(onChange) {
      const say = (): void => onChange(page.visibilityState !== 'hidden');
      say();
      return listen(page, ['visibilitychange'], say);
    },
  };
}

/** Follows the browser's `online` and `offline`. `null` where there are none. */
export function pageNetwork(): NetworkSource | null {
  const view = globalThis as unknown as EventTargetLike & { document?: unknown };
  if (!view.document || !view.addEventListener) return null;
  return {
    subscribe(onChange) {
      const say = (): void => onChange({ online: globalThis.navigator?.onLine !== false, type: null });
      say();
      return listen(view, ['online', 'offline'], say);
    },
  };
}

/** React Native's `AppState`. */
export interface AppStateLike {
  readonly currentState: string | null | undefined;
  addEventListener(type: 'change', run: (state: string) => void): { remove(): void };
}

/** Active unless in the background; `inactive` (iOS, a call or the control centre) is still looked at. */
export function appStateActivity(appState: AppStateLike): ActivitySource {
  return {
    subscribe(onChange) {
      onChange(appState.currentState !== 'background');
      const subscription = appState.addEventListener('change', (state) => onChange(state !== 'background'));
      return () => subscription.remove();
    },
  };
}

/** `@react-native-community/netinfo`'s default export. */
export interface NetInfoLike {
  addEventListener(run: (state: { isConnected: boolean | null; type: string }) => void): () => void;
}

/** Offline only when NetInfo is sure: until it knows, `isConnected` is `null` and the type is `unknown`. */
export function netInfoNetwork(netInfo: NetInfoLike): NetworkSource {
  return {
    subscribe: (onChange) =>
      netInfo.addEventListener(({ isConnected, type }) =>
        onChange({ online: isConnected !== false, type: type === 'unknown' ? null : type }),
      ),
  };
}
