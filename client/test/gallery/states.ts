/** Every state that the legend can show, by name, as the steps that lead there. */
import { StatusError } from '../../src/errors.js';
import type { StatusSnapshot } from '../../src/types.js';

type Steps = readonly Partial<StatusSnapshot>[];

const status = (queued: number, processing: number, completed: number) => ({
  queued,
  processing,
  completed,
  timestamp: '2026-11-22T18:20:31.000Z',
});
const live = { state: 'live', status: status(12, 3, 85) } as const;
const many = { state: 'live', status: status(1_234_567, 8_765_432, 9_999_999) } as const;
const network = new StatusError('network', 'No answer.');
const notReady = new StatusError('http', 'No status (503).', undefined, 503, 5_000, 'counts-not-ready');
const rejected = new StatusError('rejected', 'Check baseUrl and versions (400).', undefined, 400);
const refused = new StatusError('unauthorized', 'The token was refused (401).', undefined, 401);

export const states: Readonly<Record<string, Steps>> = {
  live: [live],
  'seven digits': [many],
  'first frame': [{ state: 'stopped', reason: 'idle' }],
  'never reached': [{ state: 'connecting', error: network }],
  'not ready': [{ state: 'connecting', error: notReady }],
  lost: [live, { state: 'stale', error: network }],
  'seven digits, lost': [many, { state: 'stale', error: network }],
  offline: [live, { state: 'offline' }],
  background: [live, { state: 'stopped', reason: 'background' }],
  'signed out': [{ state: 'stopped', reason: 'unauthorized', error: refused }],
  unavailable: [live, { state: 'stale', error: rejected }],
  stuck: [live],
  progress: [live],
};

/** The state whose legend is told how many are expected. */
export const PROGRESS = 'progress';

/** The state whose legend is told that nothing moves much sooner than others. */
export const STUCK = 'stuck';
