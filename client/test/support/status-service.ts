/** The server's side of the HTTP protocol, in memory: what the tests run against when no real host is at hand. */
import type { Clock } from '../../src/types.js';

export interface Counts {
  readonly queued: number;
  readonly input: number;
  readonly output: number;
}

export interface Request {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<string>;
}

export interface ServiceOptions {
  readonly token?: string | undefined;
  readonly maxWaitSeconds?: number | undefined;
  readonly keepAliveMs?: number | undefined;
  readonly streamLifeMs?: number | undefined;
  readonly retryMs?: number | undefined;
}

const STATUS = '/api/cases/storage/status';
const CASE_STATUS = /^\/api\/cases\/([^/]+)\/storage\/status(\/stream)?$/;
const COMMON = { 'cache-control': 'private, no-cache, no-transform', vary: 'Authorization, Prefer' };

export function problem(status: number, title: string, headers: Record<string, string> = {}, code?: string): Answer {
  const body = JSON.stringify({ type: 'about:blank', title, status, code, success: false });
  return {
    status,
    headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store', ...headers },
    body,
  };
}

export class StatusService {
  counts: Counts = { queued: 0, input: 0, output: 0 };
  ready = true;
  token: string | null;
  /** By their ids. */
  private readonly cases = new Map<string, StatusService>();
  private revision = 1;
  private changedAt: number | null = Date.UTC(2026, 10, 22, 18, 20, 31);
  private readonly wakers = new Set<() => void>();

  constructor(
    private readonly clock: Clock,
    private readonly options: ServiceOptions = {},
    private readonly generation = 'g1',
  ) {
    this.token = options.token ?? null;
  }

  get version(): string {
    return `${this.generation}.${this.revision}`;
  }

  /** Requests that are held and streams that are open. */
  get waiters(): number {
    return [...this.cases.values()].reduce((sum, each) => sum + each.waiters, this.wakers.size);
  }

  /** What is served for one case: zeros that have never changed until something is set. */
  caseOf(id: string): StatusService {
    const known = this.cases.get(id);
    if (known) return known;
    const made = new StatusService(this.clock, this.options, `c${this.cases.size + 1}`);
    made.changedAt = null;
    this.cases.set(id, made);
    return made;
  }

  set(change: Partial<Counts>): void {
    this.goTo(this.revision + 1, change);
  }

  /** A rebuilt table may go back. */
  goTo(revision: number, change: Partial<Counts>): void {
    this.counts = { ...this.counts, ...change };
    this.revision = revision;
    this.changedAt = (this.changedAt ?? this.clock.now()) + 1000;
    for (const wake of [...this.wakers]) wake();
  }

  async handle(request: Request): Promise<Answer> {
    const [path = '', query = ''] = request.target.split('?');
    const params = new URLSearchParams(query);
    const [isCase, id = '', rest = ''] = CASE_STATUS.exec(path) ?? [];
    if (isCase) {
      const one = this.caseOf(decodeURIComponent(id));
      [one.token, one.ready] = [this.token, this.ready];
      return one.handle({ ...request, target: STATUS + rest + (query && `?${query}`) });
    }
    if (!path.startsWith(STATUS)) return { status: 404, headers: {}, body: '' };
    if (!['GET', 'HEAD'].includes(request.method)) return problem(405, 'Method not allowed', { allow: 'GET, HEAD' });
    if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) {
      return problem(401, 'Token refused', { 'www-authenticate': 'Bearer' });
    }
    if (!this.ready) return problem(503, 'Not ready', { 'retry-after': '5' }, 'counts-not-ready');
    if (path === STATUS) return this.status(request, params);
    return path === `${STATUS}/stream` ? this.stream(request, params) : { status: 404, headers: {}, body: '' };
  }

  private async status(request: Request, params: URLSearchParams): Promise<Answer> {
    const wait = params.get('wait') ?? /wait=([^,;\s]+)/.exec(request.headers.prefer ?? '')?.[1] ?? null;
    if (wait !== null && !/^\d+(\.\d+)?$/.test(wait)) return problem(400, 'Bad wait');
    const since = params.get('since');
    const tags = since === null ? request.headers['if-none-match']?.trim() : `"${since}"`;
    const seconds = Math.min(Number(wait ?? 0), this.options.maxWaitSeconds ?? 60);
    const arrived = this.version;
    const holds = (): boolean =>
      tags === '*' ? this.version === arrived : this.tags(tags).includes(this.version) && Boolean(tags);
    if (wait !== null && (tags || params.get('from') === 'now')) {
      await this.wait(seconds * 1000, request.signal, () => (tags ? !holds() : this.version !== arrived));
    }
    const headers: Record<string, string> = {
      ...COMMON,
      etag: `"${this.version}"`,
      ...(this.changedAt !== null && { 'last-modified': new Date(this.changedAt).toUTCString() }),
      ...(wait === null ? {} : { 'preference-applied': `wait=${seconds}` }),
    };
    if (tags && holds()) return { status: 304, headers, body: '' };
    const { queued, input, output } = this.counts;
    const data = {
      queued_count: queued,
      input_count: input,
      output_count: output,
      timestamp: this.timestamp,
      version: this.version,
    };
    return {
      status: 200,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ success: true, data }),
    };
  }

  private get timestamp(): string | null {
    return this.changedAt === null ? null : new Date(this.changedAt).toISOString();
  }

  private tags(value: string | undefined): string[] {
    return (value ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, '').replace(/^"|"$/g, ''));
  }

  /** Resolves when `changed` turns true at a wake, the time is up, or the client has gone. */
  private wait(ms: number, signal: AbortSignal, changed: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        this.wakers.delete(wake);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const wake = (): void => {
        if (changed()) finish();
      };
      const cancel = this.clock.schedule(finish, ms);
      this.wakers.add(wake);
      signal.addEventListener('abort', finish);
      if (signal.aborted) finish();
      else wake();
    });
  }

  private stream(request: Request, params: URLSearchParams): Answer {
    const lastId = params.get('last_event_id') ?? request.headers['last-event-id'] ?? null;
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-store, no-transform' };
    return { status: 200, headers, body: this.frames(lastId, request.signal) };
  }

  private async *frames(lastId: string | null, signal: AbortSignal): AsyncGenerator<string> {
    const { retryMs = 3000, keepAliveMs = 15_000, streamLifeMs = 180_000 } = this.options;
    const endAt = this.clock.now() + streamLifeMs;
    let sent = lastId;
    yield `retry: ${retryMs}\n\n`;
    if (sent === this.version) yield ': nothing new\n\n';
    while (!signal.aborted && this.clock.now() < endAt) {
      if (sent !== this.version) {
        sent = this.version;
        yield this.frame();
        continue;
      }
      const before = this.version;
      await this.wait(Math.min(keepAliveMs, endAt - this.clock.now()), signal, () => this.version !== before);
      if (this.version === before && this.clock.now() < endAt) yield ': keep-alive\n\n';
    }
  }

  private frame(): string {
    const { queued, input, output } = this.counts;
    const data = { queued, processing: input, completed: output, timestamp: this.timestamp, version: this.version };
    return `id: ${this.version}\nevent: status_update\ndata: ${JSON.stringify(data)}\n\n`;
  }
}
