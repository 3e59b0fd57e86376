/** Whether the app is in use and how it is connected. Listens only while somebody wants status. */
import type { ActivitySource, NetworkSource, NetworkState, Unsubscribe } from './types.js';

/** `path`: the device is on another network now, and what runs on the old one is lost. */
export type ConditionChange = 'activity' | 'network' | 'path';

const UNKNOWN: NetworkState = { online: true, type: null };

export class Conditions {
  active = true;
  network = UNKNOWN;
  private closers: Unsubscribe[] | null = null;

  constructor(
    private readonly activitySource: ActivitySource | null,
    private readonly networkSource: NetworkSource | null,
    private readonly onChange: (change: ConditionChange) => void,
  ) {}

  /** Opens the sources; what they know at once is in `active` and `network` when this returns. */
  open(): void {
    if (this.closers) return;
    const closers: Unsubscribe[] = [];
    this.closers = closers;
    const current = (): boolean => this.closers === closers;
    if (this.activitySource)
      closers.push(this.activitySource.subscribe((active) => current() && this.setActive(active)));
    if (this.networkSource) closers.push(this.networkSource.subscribe((state) => current() && this.setNetwork(state)));
  }

  close(): void {
    for (const close of this.closers ?? []) close();
    this.closers = null;
    this.active = true;
    this.network = UNKNOWN;
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
    const moved = network.online && before.online && before.type !== null;
    this.onChange(moved ? 'path' : 'network');
  }
}
