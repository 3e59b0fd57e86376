/** The items of the legend: the three, and the further folders that the server counts. */
import type { StorageStatus } from '../types.js';

export const COUNTS = ['queued', 'processing', 'completed'] as const;

/** Items with a word and a colour of their own. */
const KNOWN = [...COUNTS, 'failed'] as const;
export type Known = (typeof KNOWN)[number];

export const isKnown = (item: string): item is Known => KNOWN.some((known) => known === item);

/** How a further folder is shown; what is left out is chosen for it. */
export interface ExtraStage {
  readonly label?: string | undefined;
  /** Of its dot. */
  readonly color?: string | undefined;
}

/** By the folder's name in the server's `EXTRA_FOLDERS`. */
export type ExtraStages = Readonly<Record<string, ExtraStage | undefined>> | null | undefined;

/** Every count by its item, in the legend's order; the three, without numbers, before there are any. */
export function countsOf(status: StorageStatus | null): ReadonlyMap<string, number | undefined> {
  return new Map([...COUNTS.map((item) => [item, status?.[item]] as const), ...Object.entries(status?.extra ?? {})]);
}
