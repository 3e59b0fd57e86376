/** The images that this page has uploaded, and where each is now. Nothing is ever listed. */
import type { Folder } from './config.js';
import { Gone, type Storage } from './storage.js';

export interface Image {
  readonly name: string;
  readonly folder: Folder;
  /** For the thumbnail; gone after a reload. */
  readonly preview: string | null;
}

const KEY = 'blob-status-demo-images';
/** Of images that are uploaded while no case is followed. */
const CASE = 'demo-case';
const between = (from: number, to: number): number => from + Math.random() * (to - from);
const unique = (): string => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Images {
  private images: readonly Image[] = restore();
  /** Names of images on their way to `queued`. */
  private readonly sending = new Set<string>();
  private readonly watchers = new Set<() => void>();

  constructor(
    private readonly storage: Storage,
    private readonly onUploadStart: () => void,
    private readonly onError: (error: unknown) => void,
  ) {}

  readonly getSnapshot = (): readonly Image[] => this.images;

  readonly watch = (onChange: () => void): (() => void) => {
    this.watchers.add(onChange);
    return () => this.watchers.delete(onChange);
  };

  /** How many images of a case this page has uploaded, or is about to have. */
  sentTo(caseId: string): number {
    const names = [...this.sending, ...this.images.map(({ name }) => name)];
    return names.filter((name) => name.startsWith(`${caseId}/`)).length;
  }

  /** Uploads to `queued`, a few at a time. A case is the first segment of a name, whichever folder it is in. */
  async upload(files: readonly File[], caseId: string | null): Promise<void> {
    const uploads = files.map((file) => ({ file, name: `${caseId ?? CASE}/${unique()}-${file.name}` }));
    for (const { name } of uploads) this.sending.add(name);
    this.tell();
    await this.each(uploads, 3, async ({ file, name }) => {
      this.onUploadStart();
      await this.storage.put('queued', name, file).finally(() => this.sending.delete(name));
      this.set([...this.images, { name, folder: 'queued', preview: URL.createObjectURL(file) }]);
    });
    this.tell();
  }

  /** Moves everything on, as a detection would: queued → input → output. */
  async run(): Promise<void> {
    const waiting = this.images.filter(({ folder }) => folder !== 'output');
    await this.each(waiting, 3, async (image) => {
      await this.process(image).catch((error: unknown) => {
        if (!(error instanceof Gone)) throw error;
        this.forget(image);
      });
    });
  }

  /** Deletes what this page has uploaded. */
  async clear(): Promise<void> {
    await this.each([...this.images], 6, async (image) => {
      await this.storage.remove(image.folder, image.name);
      this.forget(image);
    });
  }

  private async process({ name, folder }: Image): Promise<void> {
    await sleep(between(150, 700));
    if (folder === 'queued') await this.move(name, 'queued', 'input');
    await sleep(between(700, 1800));
    await this.move(name, 'input', 'output');
  }

  private forget({ name, preview }: Image): void {
    if (preview) URL.revokeObjectURL(preview);
    this.set(this.images.filter((image) => image.name !== name));
  }

  private async move(name: string, from: Folder, to: Folder): Promise<void> {
    await this.storage.move(name, from, to);
    this.set(this.images.map((image) => (image.name === name ? { ...image, folder: to } : image)));
  }

  /** One failure is reported and does not stop the others. */
  private async each<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
    const rest = [...items];
    const lane = async (): Promise<void> => {
      for (let item = rest.shift(); item !== undefined; item = rest.shift()) await work(item).catch(this.onError);
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  private set(images: readonly Image[]): void {
    this.images = images;
    localStorage.setItem(KEY, JSON.stringify(images.map(({ name, folder }) => ({ name, folder, preview: null }))));
    this.tell();
  }

  private tell(): void {
    for (const watcher of this.watchers) watcher();
  }
}

function restore(): readonly Image[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]') as Image[];
  } catch {
    return [];
  }
}
