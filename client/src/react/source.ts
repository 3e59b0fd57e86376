import { type ApiService, clientFor } from '../drop-in.js';
import type { CaseOptions, StatusClient } from '../types.js';

/** What a view can show: a client, or the app's own `apiService`. */
export type StatusSource = StatusClient | ApiService;

/** The client behind a source, or that of one of its cases: the same one each time. */
export function clientOf(source: StatusSource, caseId?: CaseOptions['caseId']): StatusClient {
  if (!('getSnapshot' in source)) return clientFor(source, 'long-poll', caseId);
  return caseId == null ? source : source.forCase(caseId);
}
