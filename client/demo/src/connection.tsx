/** What the connection is doing, in words and numbers, and which transport it uses. */
import type { StatusSnapshot, Transport } from 'blob-status-client/web';
import type { ReactNode } from 'react';
import type { Meter } from './meter.js';

const TRANSPORTS: readonly { value: Transport; label: string }[] = [
  { value: 'long-poll', label: 'Long poll' },
  { value: 'sse', label: 'SSE' },
  { value: 'poll', label: 'Polling' },
];

const STATES: Record<StatusSnapshot['state'], string> = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'Stale',
  offline: 'Offline',
  stopped: 'Stopped',
};

const ms = (value: number): string => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`);

function time(timestamp: string | undefined): string {
  const date = new Date(timestamp ?? '');
  return Number.isNaN(date.getTime()) ? '–' : date.toLocaleTimeString([], { hour12: false });
}

interface Props {
  readonly snapshot: StatusSnapshot;
  readonly wanted: Transport;
  readonly onTransport: (transport: Transport) => void;
  readonly meter: Meter;
}

export function Connection({ snapshot, wanted, onTransport, meter }: Props): ReactNode {
  const { state, reason, error, transport, status } = snapshot;
  const latency = meter.latency();
  const label = TRANSPORTS.find(({ value }) => value === transport)?.label;
  return (
    <section className="card" aria-labelledby="connection-title">
      <div className="card-head">
        <h2 id="connection-title">Connection</h2>
        <span className={`pill ${state}`} data-testid="state" role="status">
          <i className="dot" />
          {STATES[state]}
          {reason ? ` · ${reason}` : ''}
        </span>
      </div>
      <fieldset className="segments">
        <legend className="visually-hidden">Transport</legend>
        {TRANSPORTS.map(({ value, label: name }) => (
          <label key={value}>
            <input
              type="radio"
              name="transport"
              value={value}
              checked={wanted === value}
              onChange={() => onTransport(value)}
            />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <dl className="facts">
        <div>
          <dt>Upload to number</dt>
          <dd data-testid="latency">{latency ? ms(latency.last) : '–'}</dd>
          <dd className="note">{latency ? `p95 ${ms(latency.p95)} of ${latency.count}` : 'upload an image'}</dd>
        </div>
        <div>
          <dt>Requests</dt>
          <dd data-testid="requests">{meter.requestsLastMinute()}</dd>
          <dd className="note">in the last minute</dd>
        </div>
        <div>
          <dt>Last change</dt>
          <dd>{time(status?.timestamp)}</dd>
          <dd className="note">{transport === wanted ? `over ${label}` : `fell back to ${label}`}</dd>
        </div>
      </dl>
      {error && (
        <p className="problem" data-testid="error">
          {error.message}
        </p>
      )}
    </section>
  );
}
