/** The last minutes, one strip for each count: they differ too much in size for one scale. */
import type { StorageStatus } from 'blob-status-client/web';
import { type ReactNode, useState } from 'react';
import { type Sample, WINDOW_MS } from './meter.js';

const WIDTH = 600;
const HEIGHT = 52;
const PAD = 5;

type Count = 'queued' | 'processing' | 'completed';
const STRIPS: readonly { count: Count; label: string }[] = [
  { count: 'queued', label: 'Queued' },
  { count: 'processing', label: 'Processing' },
  { count: 'completed', label: 'Completed' },
];

const xOf = (at: number, now: number): number => WIDTH * (1 - (now - at) / WINDOW_MS);

/** Counts hold until they change, so the line has steps. */
function stepPath(samples: readonly Sample[], count: Count, now: number, top: number): string {
  const yOf = (value: number): number => HEIGHT - PAD - (value / top) * (HEIGHT - 2 * PAD);
  let path = '';
  for (const { at, status } of samples) {
    const x = Math.max(xOf(at, now), 0).toFixed(1);
    const y = yOf(status[count]).toFixed(1);
    path += path ? `H${x}V${y}` : `M${x} ${y}`;
  }
  return path && `${path}H${WIDTH}`;
}

function ago(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s ago`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s ago`;
}

interface Hover {
  readonly x: number;
  readonly status: StorageStatus;
  readonly ago: string;
}

function Strip(props: { samples: readonly Sample[]; count: Count; label: string; now: number; hover: Hover | null }) {
  const { samples, count, label, now, hover } = props;
  const top = Math.max(1, ...samples.map(({ status }) => status[count]));
  const line = stepPath(samples, count, now, top);
  const shown = hover ? hover.status[count] : samples.at(-1)?.status[count];
  return (
    <div className={`strip ${count}`}>
      <div className="strip-head">
        <span className="strip-label">
          <i className="dot" />
          {label}
        </span>
        <span className="strip-value">{shown ?? '–'}</span>
      </div>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        <line className="base" x1="0" x2={WIDTH} y1={HEIGHT - PAD} y2={HEIGHT - PAD} />
        {line && (
          <path className="area" d={`${line}V${HEIGHT - PAD}H${Math.max(xOf(samples[0]?.at ?? now, now), 0)}Z`} />
        )}
        {line && <path className="line" d={line} />}
        {hover && <line className="cross" x1={hover.x * WIDTH} x2={hover.x * WIDTH} y1="0" y2={HEIGHT} />}
      </svg>
      <div className="axis" aria-hidden="true">
        <span>3 min ago</span>
        <span>{hover ? hover.ago : 'now'}</span>
      </div>
    </div>
  );
}

export function Chart({ samples, now }: { samples: readonly Sample[]; now: number }): ReactNode {
  const [pointer, setPointer] = useState<number | null>(null);
  const at = pointer === null ? null : now - (1 - pointer) * WINDOW_MS;
  const under = at === null ? undefined : samples.findLast((sample) => sample.at <= at);
  const hover =
    under && at !== null && pointer !== null ? { x: pointer, status: under.status, ago: ago(now - at) } : null;
  const last = samples.at(-1)?.status;
  return (
    <figure className="chart">
      <figcaption className="visually-hidden">
        {last
          ? `Last three minutes. Now ${last.queued} queued, ${last.processing} processing, ${last.completed} completed.`
          : 'No counts yet.'}
      </figcaption>
      <div
        className="strips"
        onPointerMove={(event) => {
          const box = (event.target as Element).closest('svg')?.getBoundingClientRect();
          setPointer(box ? Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) : null);
        }}
        onPointerLeave={() => setPointer(null)}
      >
        {STRIPS.map((strip) => (
          <Strip key={strip.count} {...strip} samples={samples} now={now} hover={hover} />
        ))}
      </div>
    </figure>
  );
}
