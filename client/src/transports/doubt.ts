/** When to give up on streaming, and for how long. Pure. */
import type { StatusError } from '../errors.js';

/** A path that does not stream is tried again after this. */
export const STREAM_AGAIN_MS = 10 * 60_000;
/** A stream that is cut before it said anything may as well be a dead server: look again sooner. */
const CUT_STREAM_AGAIN_MS = 60_000;
/** Two refusals by an answer (404, another content type), or four cuts. */
const ENOUGH = 4;

/** Adds up streams that never said a word. */
export class StreamDoubt {
  private score = 0;

  clear(): void {
    this.score = 0;
  }

  /** For how long to fall back after this failure; 0: not yet. An overloaded server is no reason. */
  after({ code, httpStatus }: StatusError): number {
    const isCut = code === 'network';
    const isRefusal = code === 'protocol' || (code === 'http' && Number(httpStatus) < 429);
    if (isCut || isRefusal) this.score += isCut ? 1 : 2;
    if (this.score < ENOUGH) return 0;
    this.clear();
    return isCut ? CUT_STREAM_AGAIN_MS : STREAM_AGAIN_MS;
  }
}
