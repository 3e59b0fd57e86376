/** The images of the live page: those that the storage does not have any more do not stay for ever. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Images } from '../../demo/src/images.js';
import { createStorage } from '../../demo/src/storage.js';

const KEY = 'blob-status-demo-images';
const kept = new Map<string, string>();
const onError = vi.fn();
let status: number;

beforeEach(() => {
  const images = (['queued', 'input', 'output'] as const).map((folder) => ({ name: `c/${folder}.jpg`, folder }));
  kept.set(KEY, JSON.stringify(images.map((image) => ({ ...image, preview: null }))));
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  });
  vi.stubGlobal('fetch', async () => new Response(null, { status }));
  vi.useFakeTimers();
  onError.mockClear();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function open(): Images {
  const containers = { queued: 'queued', input: 'input', output: 'output' };
  const config = { statusUrl: '/api', blobUrl: 'http://storage.test', sas: 's', containers, cases: true };
  return new Images(createStorage(config), () => undefined, onError);
}

const run = async (images: Images): Promise<void> => {
  const done = images.run();
  await vi.runAllTimersAsync();
  await done;
};
const names = (images: Images): string[] => images.getSnapshot().map(({ name }) => name);

it('are dropped by "Run the pipeline", and deleted by "Delete", in silence', async () => {
  status = 404;
  const images = open();
  await run(images);
  expect(names(images)).toEqual(['c/output.jpg']);
  await images.clear();
  expect(names(images)).toEqual([]);
  expect(images.sentTo('c')).toBe(0);
  expect(onError).not.toHaveBeenCalled();
  expect(names(open())).toEqual([]);
});

it('stay while the storage only refuses, and that is told', async () => {
  status = 403;
  const images = open();
  await run(images);
  await images.clear();
  expect(names(images)).toHaveLength(3);
  expect(onError).toHaveBeenCalledTimes(2 + 3);
});
