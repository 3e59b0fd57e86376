import type { StatusSnapshot } from '../types.js';

/** Every word on the legend. */
export interface Labels {
  readonly title: string;
  readonly queued: string;
  readonly processing: string;
  readonly completed: string;
  /** In place of a count that is not known, for screen readers. */
  readonly unknown: string;
  readonly live: string;
  readonly connecting: string;
  readonly stale: string;
  readonly offline: string;
  readonly paused: string;
  readonly unauthorized: string;
  readonly rejected: string;
}

export const english: Labels = {
  title: '📊 Storage Status (Live)',
  queued: 'Queued',
  processing: 'Processing',
  completed: 'Completed',
  unknown: 'not known yet',
  live: 'Live Updates',
  connecting: 'Connecting…',
  stale: 'Connection lost, retrying…',
  offline: 'Offline',
  paused: 'Paused',
  unauthorized: 'Sign in to continue',
  rejected: 'Updates unavailable',
};

export const indonesian: Labels = {
  title: '📊 Status Penyimpanan (Langsung)',
  queued: 'Antrean',
  processing: 'Diproses',
  completed: 'Selesai',
  unknown: 'belum diketahui',
  live: 'Pembaruan Langsung',
  connecting: 'Menghubungkan…',
  stale: 'Koneksi terputus, mencoba lagi…',
  offline: 'Luring',
  paused: 'Dijeda',
  unauthorized: 'Masuk untuk melanjutkan',
  rejected: 'Pembaruan tidak tersedia',
};

export const locales = { en: english, id: indonesian } as const;

export type Locale = keyof typeof locales;

/** What the indicator says. It says "live" only when that is true. */
export function indicatorLabel(labels: Labels, { state, reason, error }: StatusSnapshot): string {
  if (state === 'stopped') return reason === 'unauthorized' ? labels.unauthorized : labels.paused;
  if (error?.code === 'rejected' && state !== 'offline') return labels.rejected;
  return state === 'connecting' && error ? labels.stale : labels[state];
}
