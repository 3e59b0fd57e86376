/** The last minutes, one strip for each count, all on one scale: what is higher is more. */
import type { StorageStatus } from 'blob-status-client/web';
import { type ReactNode, useState } from 'react';
import { type Sample, WINDOW_MS } from './meter.js';
import { useWords, type Words } from './words.js';

const WIDTH = 600;
const HEIGHT = 52;
const PAD = 5;

const THREE = ['queued', 'processing', 'completed'] as const;

/** By its name: one of the three, or a further folder, which a sample of before may not have. */
const valueOf = (status: StorageStatus, count: string): number =>
  THREE.some((each) => each === count) ? status[count as (typeof THREE)[number]] : (status.extra?.[count] ?? 0);

const labelOf = (words: Words, count: string): string =>
  words.counts[count] ?? count.charAt(0).toUpperCase() + count.slice(1).replaceAll('_', ' ');

const xOf = (at: number, now: number): number => WIDTH * (1 - (now - at) / WINDOW_MS);

/** Counts hold until they change, so the line has steps. */
function stepPath(samples: readonly Sample[], count: string, now: number, top: number): string {
  const yOf = (value: number): number => HEIGHT - PAD - (value / top) * (HEIGHT - 2 * PAD);
  let path = '';
  for (const { at, status } of samples) {
    const x = Math.max(xOf(at, now), 0).toFixed(1);
    const y = yOf(valueOf(status, count)).toFixed(1);
    path += path ? `H${x}V${y}` : `M${x} ${y}`;
  }
  return path && `${path}H${WIDTH}`;
}

function ago(ms: number, words: Words): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return words.ago(`${seconds} ${words.seconds}`);
  const rest = String(seconds % 60).padStart(2, '0');
  return words.ago(`${Math.floor(seconds / 60)} ${words.minute} ${rest} ${words.seconds}`);
}

interface Hover {
  readonly x: number;
  readonly status: StorageStatus;
  readonly ago: string;
}

interface StripProps {
  readonly samples: readonly Sample[];
  readonly count: string;
  /** The height of the scale. */
  readonly top: number;
  readonly now: number;
  readonly hover: Hover | null;
}

function Strip({ samples, count, top, now, hover }: StripProps) {
  const words = useWords();
  const line = stepPath(samples, count, now, top);
  const status = hover?.status ?? samples.at(-1)?.status;
  return (
    <div className={`strip ${count in words.counts ? count : 'other'}`}>
      <div className="strip-head">
        <span className="strip-label">
          <i className="dot" />
          {labelOf(words, count)}
        </span>
        <span className="strip-value">{status ? valueOf(status, count) : '–'}</span>
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
        <span>{words.from}</span>
        <span>{hover ? hover.ago : words.now}</span>
      </div>
    </div>
  );
}

export function Chart({ samples, now }: { samples: readonly Sample[]; now: number }): ReactNode {
  const words = useWords();
  const [pointer, setPointer] = useState<number | null>(null);
  const at = pointer === null ? null : now - (1 - pointer) * WINDOW_MS;
  const under = at === null ? undefined : samples.findLast((sample) => sample.at <= at);
  const hover =
    under && at !== null && pointer !== null ? { x: pointer, status: under.status, ago: ago(now - at, words) } : null;
  const last = samples.at(-1)?.status;
  const strips = [...THREE, ...Object.keys(last?.extra ?? {})];
  const top = Math.max(1, ...samples.flatMap(({ status }) => strips.map((count) => valueOf(status, count))));
  return (
    <figure className="chart">
      <figcaption className="visually-hidden">
        {last
          ? [words.chartNow(last.queued, last.processing, last.completed)]
              .concat(Object.entries(last.extra ?? {}).map(([count, value]) => `${labelOf(words, count)}: ${value}.`))
              .join(' ')
          : words.chartEmpty}
      </figcaption>
      <div
        className="strips"
        onPointerMove={(event) => {
          const box = (event.target as Element).closest('svg')?.getBoundingClientRect();
          setPointer(box ? Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) : null);
        }}
        onPointerLeave={() => setPointer(null)}
      >
        {strips.map((count) => (
          <Strip key={count} count={count} samples={samples} top={top} now={now} hover={hover} />
        ))}
      </div>
      <p className="note">{words.scale(top)}</p>
    </figure>
  );
}
