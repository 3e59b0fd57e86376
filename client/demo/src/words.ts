/** The page's words, in the two languages of the README. */
import type { StatusSnapshot, Transport } from 'blob-status-client/web';
import { createContext, useContext, useEffect, useState } from 'react';

/** By the names of the three, and of the further folder that has a word of its own. */
type Counts = Readonly<Record<string, string>>;

const english = {
  title: 'Live storage status',
  intro: 'Images move from queued to processing to completed. The numbers follow by themselves, without WebSocket.',
  useTheme: { light: 'Use the light theme', dark: 'Use the dark theme' },
  dismiss: 'Dismiss',

  connection: 'Connection',
  transport: 'Transport',
  transports: { 'long-poll': 'Long poll', sse: 'SSE', poll: 'Polling' } satisfies Record<Transport, string>,
  states: {
    connecting: 'Connecting',
    live: 'Live',
    stale: 'Stale',
    offline: 'Offline',
    stopped: 'Stopped',
  } satisfies Record<StatusSnapshot['state'], string>,
  reasons: {
    idle: 'idle',
    background: 'background',
    closed: 'closed',
    unauthorized: 'unauthorized',
  } as Readonly<Record<string, string>>,
  latency: 'Upload to number',
  p95: (time: string, uploads: number) => `p95 ${time} of ${uploads}`,
  uploadFirst: 'upload an image',
  requests: 'Requests',
  lastMinute: 'in the last minute',
  lastChange: 'Last change',
  over: (transport: string) => `over ${transport}`,
  fellBack: (transport: string) => `fell back to ${transport}`,

  startCase: 'Start a case',
  caseName: 'Name of the case',
  caseNameRule: 'Letters, digits, - and _',
  start: 'Start',
  ownCounts: 'What you upload into it is counted by itself too, beside the images of everybody.',
  everybody: '📊 Everybody’s images',
  yourCase: (name: string) => `📁 Your case: ${name}`,
  uploadsGoTo: 'Uploads go to',
  anotherCase: 'Another case',

  tryIt: 'Try it',
  drop: 'Drop images here',
  orChoose: 'or choose some',
  toUpload: 'Images to upload',
  uploaded: 'Uploaded images',
  folders: { queued: 'queued', input: 'processing', output: 'completed' },
  samples: (count: number) => `Add ${count} samples`,
  run: 'Run the pipeline',
  running: 'Running…',
  delete: 'Delete',
  moves: (images: number) =>
    images === 0
      ? 'The pipeline moves the images that you upload here: queued → processing → completed.'
      : `The pipeline moves your ${images === 1 ? 'image' : `${images} images`}: queued → processing → completed.`,

  minutes: 'The last minutes',
  scale: (top: number) => `One scale for all: 0 to ${top}.`,
  counts: { queued: 'Queued', processing: 'Processing', completed: 'Completed', failed: 'Failed' } as Counts,
  from: '3 min ago',
  now: 'now',
  ago: (time: string) => `${time} ago`,
  seconds: 's',
  minute: 'min',
  chartNow: (queued: number, processing: number, completed: number) =>
    `Last three minutes. Now ${queued} queued, ${processing} processing, ${completed} completed.`,
  chartEmpty: 'No counts yet.',
};

export type Words = typeof english;

const indonesian: Words = {
  title: 'Status penyimpanan langsung',
  intro: 'Gambar bergerak dari antrean ke pemrosesan lalu selesai. Angkanya mengikuti sendiri, tanpa WebSocket.',
  useTheme: { light: 'Pakai tema terang', dark: 'Pakai tema gelap' },
  dismiss: 'Tutup',

  connection: 'Koneksi',
  transport: 'Cara mengirim',
  transports: { 'long-poll': 'Long poll', sse: 'SSE', poll: 'Polling' },
  states: {
    connecting: 'Menghubungkan',
    live: 'Langsung',
    stale: 'Usang',
    offline: 'Luring',
    stopped: 'Berhenti',
  },
  reasons: {
    idle: 'menganggur',
    background: 'di latar belakang',
    closed: 'ditutup',
    unauthorized: 'belum masuk',
  },
  latency: 'Unggah ke angka',
  p95: (time, uploads) => `p95 ${time} dari ${uploads}`,
  uploadFirst: 'unggah sebuah gambar',
  requests: 'Permintaan',
  lastMinute: 'dalam semenit terakhir',
  lastChange: 'Perubahan terakhir',
  over: (transport) => `lewat ${transport}`,
  fellBack: (transport) => `beralih ke ${transport}`,

  startCase: 'Mulai sebuah kasus',
  caseName: 'Nama kasus',
  caseNameRule: 'Huruf, angka, - dan _',
  start: 'Mulai',
  ownCounts: 'Yang Anda unggah ke dalamnya juga dihitung tersendiri, di samping gambar semua orang.',
  everybody: '📊 Gambar semua orang',
  yourCase: (name) => `📁 Kasus Anda: ${name}`,
  uploadsGoTo: 'Unggahan masuk ke',
  anotherCase: 'Kasus lain',

  tryIt: 'Cobalah',
  drop: 'Jatuhkan gambar di sini',
  orChoose: 'atau pilih',
  toUpload: 'Gambar untuk diunggah',
  uploaded: 'Gambar yang diunggah',
  folders: { queued: 'dalam antrean', input: 'diproses', output: 'selesai' },
  samples: (count) => `Tambah ${count} contoh`,
  run: 'Jalankan pipeline',
  running: 'Berjalan…',
  delete: 'Hapus',
  moves: (images) =>
    images === 0
      ? 'Pipeline memindahkan gambar yang Anda unggah di sini: antrean → diproses → selesai.'
      : `Pipeline memindahkan ${images} gambar Anda: antrean → diproses → selesai.`,

  minutes: 'Menit-menit terakhir',
  scale: (top) => `Satu skala untuk semuanya: 0 sampai ${top}.`,
  counts: { queued: 'Antrean', processing: 'Diproses', completed: 'Selesai', failed: 'Gagal' },
  from: '3 mnt lalu',
  now: 'kini',
  ago: (time) => `${time} lalu`,
  seconds: 'dtk',
  minute: 'mnt',
  chartNow: (queued, processing, completed) =>
    `Tiga menit terakhir. Kini ${queued} dalam antrean, ${processing} diproses, ${completed} selesai.`,
  chartEmpty: 'Belum ada angka.',
};

const languages = {
  en: { words: english, name: 'English' },
  id: { words: indonesian, name: 'Bahasa Indonesia' },
} as const;

export type Language = keyof typeof languages;

const WordsContext = createContext<Words>(english);
export const WordsProvider = WordsContext.Provider;

/** The page's words in the language that it shows. */
export const useWords = (): Words => useContext(WordsContext);

/** `?lang=id`, or else the browser's language, until the person chooses the other one. */
const first = new URLSearchParams(location.search).get('lang') ?? navigator.language;

export function useLanguage() {
  const [language, choose] = useState<Language>(/^(id|in)\b/i.test(first) ? 'id' : 'en');
  const other = language === 'en' ? 'id' : 'en';
  const { words } = languages[language];
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = words.title;
  }, [language, words]);
  return { language, words, other, otherName: languages[other].name, toggle: () => choose(other) };
}
