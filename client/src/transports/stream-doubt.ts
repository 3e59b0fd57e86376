/** Whether streams are worth it on this path, and until when long poll is used instead. Pure. */
import type { StatusError } from '../errors.js';

/** A path that does not stream is tried again after this. Till then long poll costs what it saves. */
const AGAIN_MS = 6 * 60_000;
/** A stream that is cut before it said anything may as well be a dead server: look again sooner. */
const CUT_AGAIN_MS = 60_000;
/** A stream that was heard for less is worth no more than a request. */
const WORTH_MS = 10_000;
/** A server that takes longer for a plain answer may just be starting. */
const QUICK_ANSWER_MS = 1_000;
/** Eight streams that the server ended early, four that were cut, two refusals by an answer (404, no stream). */
const ENOUGH = 8;

/** Adds up what streams were not worth. Only one that was heard for long makes up for it. */
export class StreamDoubt {
  private score = 0;
  private againAtMs = Number.NEGATIVE_INFINITY;

  isUsable(nowMs: number): boolean {
    return nowMs >= this.againAtMs;
  }

  /** A stream has ended, or was cut, that was heard for so long: from its start to its last frame or comment. */
  heardFor(ms: number, isCut: boolean, nowMs: number): void {
    if (ms >= WORTH_MS) this.score = 0;
    else this.add(isCut ? 2 : 1, nowMs, AGAIN_MS);
  }

  /** A stream failed before it said anything. An overloaded server, or a case nobody knows yet, is no reason for doubt. */
  failed({ code, httpStatus, problem }: StatusError, nowMs: number): void {
    if (code === 'network') this.add(2, nowMs, CUT_AGAIN_MS);
    const isRefused = code === 'http' && problem === null && Number(httpStatus) < 429;
    if (code === 'protocol' || isRefused) this.add(4, nowMs, AGAIN_MS);
  }

  /** A stream said nothing in time, but a plain request right after it was answered within `answerMs`. */
  wasSilent(answerMs: number, nowMs: number): void {
    this.add(answerMs < QUICK_ANSWER_MS ? ENOUGH : ENOUGH / 2, nowMs, AGAIN_MS);
  }

  private add(points: number, nowMs: number, againMs: number): void {
    this.score += points;
    if (this.score >= ENOUGH) this.againAtMs = nowMs + againMs;
  }
}
