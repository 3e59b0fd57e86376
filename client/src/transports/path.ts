/** What was learnt about the way to the server. On another network it is worth nothing, and a new one is made. */
import { HoldLimit } from './hold-limit.js';
import { StreamDoubt } from './stream-doubt.js';

export class Path {
  /** The path loses request headers: validator and wait travel in the query (`?since=`, `?wait=`). */
  viaQuery = false;
  /** Answers in a row that look as if the validator had not arrived. */
  lostValidators = 0;
  readonly holds = new HoldLimit();
  readonly streams = new StreamDoubt();
}
