import { type ExtraStages, isKnown } from './stages.js';

/** Every word on the legend. `{…}` stands for a number or a time. */
export interface Labels {
  /** While live. */
  readonly title: string;
  /** While not. An app's own `title` stands for both. */
  readonly titleNotLive: string;
  readonly queued: string;
  readonly processing: string;
  readonly completed: string;
  /** A further folder of this name. Others are called what the legend's `extra` says, or what the server does. */
  readonly failed: string;
  /** In place of a count that is not known, for screen readers. */
  readonly unknown: string;
  readonly live: string;
  readonly connecting: string;
  /** The server is there and has not counted yet. */
  readonly notReady: string;
  readonly stale: string;
  readonly offline: string;
  readonly paused: string;
  readonly unauthorized: string;
  readonly rejected: string;
  /** When numbers that are not live were confirmed: `{time}` is `15:56`, with the date when that was another day. */
  readonly asOf: string;
  /** Images are in process and nothing moves: `{time}` is `minutes` or `hours`. */
  readonly stuck: string;
  readonly minutes: string;
  readonly hours: string;
  /** Beside the bar, where the app says how many are expected. */
  readonly progress: string;
  /** How long the rest may take: `{time}` is `minutes` or `hours`, of which {@link between} puts two together. */
  readonly timeLeft: string;
  readonly upToTimeLeft: string;
  readonly almostDone: string;
  readonly between: string;
  /** Buttons. */
  readonly signIn: string;
  readonly retry: string;
  /** What a screen reader says after a change. */
  readonly summary: string;
  readonly notLive: string;
}

export const english: Labels = {
  title: '📊 Storage Status (Live)',
  titleNotLive: '📊 Storage Status',
  queued: 'Queued',
  processing: 'Processing',
  completed: 'Completed',
  failed: 'Failed',
  unknown: 'not known yet',
  live: 'Live Updates',
  connecting: 'Connecting…',
  notReady: 'Not ready yet',
  stale: 'Connection lost, retrying…',
  offline: 'Offline',
  paused: 'Paused',
  unauthorized: 'Sign in to continue',
  rejected: 'Updates unavailable',
  asOf: 'as of {time}',
  stuck: 'no progress for {time}',
  minutes: '{n} min',
  hours: '{n} h',
  progress: '{done} of {expected} done',
  timeLeft: 'about {time} left',
  upToTimeLeft: 'up to {time} left',
  almostDone: 'less than a minute left',
  between: '{from}–{to}',
  signIn: 'Sign in',
  retry: 'Try again',
  summary: '{queued} queued, {processing} processing, {completed} completed.',
  notLive: 'Not live.',
};

export const indonesian: Labels = {
  title: '📊 Status Penyimpanan (Langsung)',
  titleNotLive: '📊 Status Penyimpanan',
  queued: 'Antrean',
  processing: 'Diproses',
  completed: 'Selesai',
  failed: 'Gagal',
  unknown: 'belum diketahui',
  live: 'Pembaruan Langsung',
  connecting: 'Menghubungkan…',
  notReady: 'Belum siap',
  stale: 'Koneksi terputus, mencoba lagi…',
  offline: 'Luring',
  paused: 'Dijeda',
  unauthorized: 'Masuk untuk melanjutkan',
  rejected: 'Pembaruan tidak tersedia',
  asOf: 'per pukul {time}',
  stuck: 'tidak ada kemajuan selama {time}',
  minutes: '{n} menit',
  hours: '{n} jam',
  progress: '{done} dari {expected} selesai',
  timeLeft: 'sekitar {time} lagi',
  upToTimeLeft: 'paling lama {time} lagi',
  almostDone: 'kurang dari satu menit lagi',
  between: '{from}–{to}',
  signIn: 'Masuk',
  retry: 'Coba lagi',
  summary: '{queued} dalam antrean, {processing} diproses, {completed} selesai.',
  notLive: 'Tidak langsung.',
};

/** The app's words over the locale's; what is no text does not count. */
export function withOwnWords(labels: Labels, own: Partial<Labels> | null | undefined): Labels {
  const words = Object.fromEntries(Object.entries(own ?? {}).filter(([, word]) => typeof word === 'string'));
  return { ...labels, ...('title' in words && { titleNotLive: words.title }), ...words };
}

/** What an item is called. A further folder without a word of its own: `manual_review` is "Manual review". */
export function labelOf(labels: Labels, extra: ExtraStages, item: string): string {
  const own = extra?.[item]?.label;
  if (typeof own === 'string') return own;
  if (isKnown(item)) return labels[item];
  return item.charAt(0).toUpperCase() + item.slice(1).replaceAll('_', ' ');
}

/** Puts values in the place of `{name}`. */
export function fill(label: string, values: Readonly<Record<string, string | number>>): string {
  return label.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** `10 min`, `3 h`. */
export function duration(labels: Labels, minutes: number, round = Math.floor): string {
  return minutes < 120 ? fill(labels.minutes, { n: minutes }) : fill(labels.hours, { n: round(minutes / 60) });
}

/** `about 2–4 min left`; `null` while that cannot be told. */
export function timeLeft(labels: Labels, from: number | null, to: number | null): string | null {
  if (from === null || to === null) return null;
  if (to <= 1) return labels.almostDone;
  const [least, most] = to < 120 ? [from, to] : [Math.floor(from / 60), Math.ceil(to / 60)];
  if (least === 0) return fill(labels.upToTimeLeft, { time: duration(labels, to, Math.ceil) });
  const n = least === most ? most : fill(labels.between, { from: least, to: most });
  return fill(labels.timeLeft, { time: fill(to < 120 ? labels.minutes : labels.hours, { n }) });
}
