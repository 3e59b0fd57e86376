/** Whether the app is in use and how it is connected. Listens only while somebody wants status. */
import { guard } from './app-code.js';
import type { ActivitySource, NetworkSource, NetworkState, Unsubscribe } from './types.js';

/** `path`: the device is on another network now, or on none, and what runs on the old one is lost. */
export type ConditionChange = 'activity' | 'network' | 'path';

interface Source<T> {
  subscribe(onChange: (value: T) => void): Unsubscribe;
}

const UNKNOWN: NetworkState = { online: true, type: null };

export class Conditions {
  active = true;
  network = UNKNOWN;
  /** The server has answered since the device said last how it is connected. */
  reached = false;
  private closers: (Unsubscribe | undefined)[] | null = null;

  constructor(
    private readonly activitySource: ActivitySource | null,
    private readonly networkSource: NetworkSource | null,
    private readonly onChange: (change: ConditionChange) => void,
    /** Takes what a source throws. Such a source counts as none, whatever it said before. */
    private readonly report: (thrown: unknown) => void,
  ) {}

  /** The device says so, and nothing has shown that it is wrong. */
  get offline(): boolean {
    return !this.network.online && !this.reached;
  }

  /** Opens the sources; what they know at once is in `active` and `network` when this returns. */
  open(): void {
    if (this.closers) return;
    const closers: (Unsubscribe | undefined)[] = [];
    this.closers = closers;
    const follow = <T>(source: Source<T> | null, without: T, set: (value: T) => void): void => {
      const hear = (value: T): void => {
        if (this.closers === closers) set(value);
      };
      const lose = (thrown: unknown): void => {
        this.report(thrown);
        hear(without);
      };
      if (source) closers.push(guard(() => source.subscribe(hear), lose));
    };
    follow(this.activitySource, true, (active) => this.setActive(active));
    follow(this.networkSource, UNKNOWN, (network) => this.setNetwork(network));
  }

  close(): void {
    const closers = this.closers ?? [];
    this.closers = null;
    for (const close of closers) guard(() => close?.(), this.report);
    this.active = true;
    this.network = UNKNOWN;
    this.reached = false;
  }

  private setActive(active: boolean): void {
    if (active === this.active) return;
    this.active = active;
    this.onChange('activity');
  }

  private setNetwork(network: NetworkState): void {
    const before = this.network;
    if (network.online === before.online && network.type === before.type) return;
    this.network = network;
    this.reached = false;
    const moved = network.online !== before.online || (network.online && before.type !== null);
    this.onChange(moved ? 'path' : 'network');
  }
}
