/** A gateway that lets nothing take longer than its limit. */
import type { Fault } from './memory-fetch.js';
import type { Rig } from './rig.js';
import type { Answer, Request } from './status-service.js';

/** What the client sees of a cut: a status, a connection that breaks, or nothing ever again. */
export type CutKind = number | 'broken' | 'silent';

/** Cuts each answer of the rig's service, a stream's too, that is not over after `limitMs`. */
export function cutAfter(rig: Rig, limitMs: number, kind: CutKind): () => Fault {
  const { clock, service } = rig;

  /** `work`, unless the limit comes first: then what the client sees, and the service sees that the client has gone. */
  function limited<T>(work: Promise<T>, ms: number, cut: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = clock.schedule(() => cut().then(resolve, reject), ms);
      work.then(resolve, reject).finally(cancel);
    });
  }

  async function* cutStream(body: AsyncIterable<string>, gone: AbortController, endMs: number): AsyncGenerator<string> {
    const iterator = body[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await limited(iterator.next(), endMs - clock.now(), () => {
        gone.abort();
        if (kind === 'silent') return new Promise<never>(() => undefined);
        return Promise.reject(new TypeError('terminated'));
      });
      if (done) return;
      yield value;
    }
  }

  return () => async (request: Request) => {
    const gone = new AbortController();
    request.signal.addEventListener('abort', () => gone.abort());
    const endMs = clock.now() + limitMs;
    const answer = await limited(service.handle({ ...request, signal: gone.signal }), limitMs, () => {
      gone.abort();
      if (kind === 'silent') return new Promise<never>(() => undefined);
      if (kind === 'broken') return Promise.reject(new TypeError('fetch failed'));
      return Promise.resolve<Answer>({ status: kind, headers: { 'content-type': 'text/html' }, body: 'Timeout' });
    });
    return typeof answer.body === 'string' ? answer : { ...answer, body: cutStream(answer.body, gone, endMs) };
  };
}
