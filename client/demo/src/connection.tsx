/** What the connection is doing, in words and numbers, and which transport it uses. */
import type { StatusSnapshot, Transport } from 'blob-status-client/web';
import type { ReactNode } from 'react';
import type { Meter } from './meter.js';
import { useWords } from './words.js';

const TRANSPORTS: readonly Transport[] = ['long-poll', 'sse', 'poll'];

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
  const words = useWords();
  const label = words.transports[transport];
  return (
    <section className="card" aria-labelledby="connection-title">
      <div className="card-head">
        <h2 id="connection-title">{words.connection}</h2>
        <span className={`pill ${state}`} data-testid="state">
          <i className="dot" />
          {words.states[state]}
          {reason ? ` · ${words.reasons[reason] ?? reason}` : ''}
        </span>
      </div>
      <fieldset className="segments">
        <legend className="visually-hidden">{words.transport}</legend>
        {TRANSPORTS.map((value) => (
          <label key={value}>
            <input
              type="radio"
              name="transport"
              value={value}
              checked={wanted === value}
              onChange={() => onTransport(value)}
            />
            <span>{words.transports[value]}</span>
          </label>
        ))}
      </fieldset>
      <dl className="facts">
        <div>
          <dt>{words.latency}</dt>
          <dd data-testid="latency">{latency ? ms(latency.last) : '–'}</dd>
          <dd className="note">{latency ? words.p95(ms(latency.p95), latency.count) : words.uploadFirst}</dd>
        </div>
        <div>
          <dt>{words.requests}</dt>
          <dd data-testid="requests">{meter.requestsLastMinute()}</dd>
          <dd className="note">{words.lastMinute}</dd>
        </div>
        <div>
          <dt>{words.lastChange}</dt>
          <dd>{time(status?.timestamp)}</dd>
          <dd className="note">{transport === wanted ? words.over(label) : words.fellBack(label)}</dd>
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
