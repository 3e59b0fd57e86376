/** Blobs from the browser, with a SAS: put, move (copy, then delete), delete. */
import type { DemoConfig, Folder } from './config.js';

const API_VERSION = '2021-12-02';
const COPY_LOOKS = 20;
const COPY_LOOK_MS = 150;

interface Request {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Blob;
}

export interface Storage {
  put(folder: Folder, name: string, image: Blob): Promise<void>;
  /** Throws {@link Gone} when there is nothing to move. */
  move(name: string, from: Folder, to: Folder): Promise<void>;
  /** Also of what is not there any more. */
  remove(folder: Folder, name: string): Promise<void>;
}

/** The storage does not have it, or not any more. */
export class Gone extends Error {}

export function createStorage(config: DemoConfig): Storage {
  const url = (folder: Folder, name: string): string =>
    `${config.blobUrl}/${config.containers[folder]}/${name.split('/').map(encodeURIComponent).join('/')}?${config.sas}`;

  async function send(what: string, address: string, init: Request): Promise<Response> {
    const response = await fetch(address, { ...init, headers: { 'x-ms-version': API_VERSION, ...init.headers } });
    if (!response.ok) {
      throw new (response.status === 404 ? Gone : Error)(`${what}: the storage answered ${response.status}.`);
    }
    return response;
  }

  /** A copy within an account is usually done with its answer; when not, look until it is. */
  async function copied(address: string, status: string | null): Promise<void> {
    for (let look = 0; status === 'pending' && look < COPY_LOOKS; look += 1) {
      await new Promise((resolve) => setTimeout(resolve, COPY_LOOK_MS));
      const response = await send('Copy', address, { method: 'HEAD' });
      status = response.headers.get('x-ms-copy-status');
    }
    if (status !== null && status !== 'success') throw new Error(`Copy: ${status}.`);
  }

  const remove: Storage['remove'] = async (folder, name) => {
    await send('Delete', url(folder, name), { method: 'DELETE' }).catch((error: unknown) => {
      if (!(error instanceof Gone)) throw error;
    });
  };

  return {
    async put(folder, name, image) {
      const headers = { 'x-ms-blob-type': 'BlockBlob', 'Content-Type': image.type || 'application/octet-stream' };
      await send('Upload', url(folder, name), { method: 'PUT', headers, body: image });
    },
    async move(name, from, to) {
      const address = url(to, name);
      const headers = { 'x-ms-copy-source': url(from, name) };
      const response = await send('Copy', address, { method: 'PUT', headers });
      await copied(address, response.headers.get('x-ms-copy-status'));
      await remove(from, name);
    },
    remove,
  };
}
