/** `fetch` straight into a StatusService, on a fake clock, with every request written down and faults on demand. */
import type { Clock, FetchLike } from '../../src/types.js';
import type { Answer, Request, StatusService } from './status-service.js';

export interface Sent {
  readonly at: number;
  readonly url: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** `refuse`: no connection. `hang`: never answers. `ignore-abort`: answers late, even when aborted. */
export type Fault = 'refuse' | 'hang' | Answer | ((request: Request) => Promise<Answer>);

export class MemoryFetch {
  readonly sent: Sent[] = [];
  inFlight = 0;
  maxInFlight = 0;
  /** Consulted before each request; `undefined` lets it through. */
  fault: (sent: Sent) => Fault | undefined = () => undefined;

  constructor(
    private readonly service: StatusService,
    private readonly clock: Clock,
  ) {}

  /** When each request left, in ms. */
  get times(): number[] {
    return this.sent.map((sent) => sent.at);
  }

  readonly fetch: FetchLike = async (url, init) => {
    const { pathname, search } = new URL(url);
    const headers = Object.fromEntries(new Headers(init.headers).entries());
    const sent: Sent = { at: this.clock.now(), url, target: pathname + search, headers };
    this.sent.push(sent);
    this.inFlight += 1;
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight);
    const signal = init.signal ?? new AbortController().signal;
    let over = false;
    const done = (): void => {
      if (!over) this.inFlight -= 1;
      over = true;
    };
    signal.addEventListener('abort', done);
    try {
      const request: Request = { method: 'GET', target: sent.target, headers, signal };
      const answer = await this.answer(this.fault(sent), request);
      if (signal.aborted) throw new DOMException('aborted', 'AbortError');
      if (typeof answer.body === 'string') done();
      return toResponse(answer, signal, done);
    } catch (error) {
      done();
      throw error;
    }
  };

  private answer(fault: Fault | undefined, request: Request): Promise<Answer> {
    if (fault === 'refuse') return Promise.reject(new TypeError('fetch failed'));
    if (fault === 'hang') {
      return new Promise((_, reject) => {
        request.signal.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')));
      });
    }
    if (typeof fault === 'function') return fault(request);
    return fault ? Promise.resolve(fault) : this.service.handle(request);
  }
}

function toResponse(answer: Answer, signal: AbortSignal, done: () => void): Response {
  const { status, headers, body } = answer;
  if (typeof body === 'string') return new Response(status === 304 ? null : body, { status, headers });
  const iterator = body[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      signal.addEventListener('abort', () => {
        done();
        try {
          controller.error(new DOMException('aborted', 'AbortError'));
        } catch {
          // Already closed.
        }
      });
    },
    async pull(controller) {
      const { done: ended, value } = await iterator.next();
      if (signal.aborted) return;
      if (ended) {
        done();
        controller.close();
      } else controller.enqueue(encoder.encode(value));
    },
  });
  return new Response(stream, { status, headers });
}
