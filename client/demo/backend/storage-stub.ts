/** As much of a blob storage as the page uses: put, copy, delete, with a query string that stands for a SAS. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'PUT,DELETE,OPTIONS',
  'access-control-allow-headers': '*',
  'access-control-expose-headers': '*',
};

/** Blob names by container. `onChange` is told the name after every put, copy and delete. */
export class StorageStub {
  private readonly blobs = new Map<string, Set<string>>();

  constructor(
    private readonly prefix: string,
    private readonly sas: string,
    private readonly onChange: (name: string) => void,
  ) {}

  /** How many names in a container begin so. */
  count(container: string, prefix = ''): number {
    return [...(this.blobs.get(container) ?? [])].filter((name) => name.startsWith(prefix)).length;
  }

  /** Answers what is addressed to the storage; `false` for the rest. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    if (!path.startsWith(this.prefix)) return false;
    if (request.method === 'OPTIONS') {
      response.writeHead(200, CORS).end();
      return true;
    }
    for await (const _ of request);
    const [status, headers] = query === this.sas ? this.apply(request, path) : [403, {}];
    response.writeHead(status, { ...CORS, ...headers }).end();
    return true;
  }

  private apply(request: IncomingMessage, path: string): [number, Record<string, string>] {
    const { container, name } = this.parse(path);
    const blobs = this.blobs.get(container) ?? new Set();
    this.blobs.set(container, blobs);
    if (request.method === 'DELETE') {
      if (!blobs.delete(name)) return [404, {}];
      this.onChange(name);
      return [202, {}];
    }
    const source = request.headers['x-ms-copy-source'];
    if (typeof source === 'string') {
      const from = this.parse(new URL(source).pathname);
      if (!this.blobs.get(from.container)?.has(from.name)) return [404, {}];
    } else if (request.headers['x-ms-blob-type'] !== 'BlockBlob') return [400, {}];
    blobs.add(name);
    this.onChange(name);
    return source === undefined ? [201, {}] : [202, { 'x-ms-copy-status': 'success' }];
  }

  private parse(path: string): { container: string; name: string } {
    const [container = '', ...name] = decodeURIComponent(path).slice(this.prefix.length).split('/').filter(Boolean);
    return { container, name: name.join('/') };
  }
}
