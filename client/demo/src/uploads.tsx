/** Drop images, take samples, run the pipeline. */
import { type DragEvent, type ReactNode, useRef, useState, useSyncExternalStore } from 'react';
import type { Image, Images } from './images.js';
import { sampleImage } from './samples.js';
import { useWords } from './words.js';

const SAMPLES = 5;
/** Enough for a bar, and for an estimate of the rest. */
const CASE_SAMPLES = 40;
const SHOWN = 24;

function Thumbnails({ images }: { images: readonly Image[] }): ReactNode {
  const words = useWords();
  const hidden = images.length - SHOWN;
  return (
    <ul className="thumbs" aria-label={words.uploaded}>
      {images.slice(-SHOWN).map(({ name, folder, preview }) => (
        <li key={name} className={folder} title={`${name} · ${words.folders[folder]}`}>
          {preview ? <img src={preview} alt="" /> : <span className="no-preview" />}
          <i className="dot" />
        </li>
      ))}
      {hidden > 0 && <li className="more">+{hidden}</li>}
    </ul>
  );
}

interface Props {
  readonly images: Images;
  /** Where the uploads go; `null` while no case is followed. */
  readonly caseId: string | null;
  readonly onError: (error: unknown) => void;
}

export function Uploads({ images, caseId, onError }: Props): ReactNode {
  const words = useWords();
  const known = useSyncExternalStore(images.watch, images.getSnapshot);
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState<'pipeline' | 'clear' | null>(null);
  const sampleCount = caseId === null ? SAMPLES : CASE_SAMPLES;
  const waiting = known.filter(({ folder }) => folder !== 'output').length;

  const upload = (files: Iterable<File>): void => {
    const chosen = [...files].filter(({ type }) => type.startsWith('image/'));
    images.upload(chosen, caseId).catch(onError);
  };
  const drop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    upload(event.dataTransfer.files);
  };
  const samples = (): void => {
    Promise.all(Array.from({ length: sampleCount }, (_, index) => sampleImage(index + 1))).then(upload, onError);
  };
  const run = (what: 'pipeline' | 'clear'): void => {
    setBusy(what);
    (what === 'pipeline' ? images.run() : images.clear()).catch(onError).finally(() => setBusy(null));
  };

  return (
    <section className="card uploads" aria-labelledby="uploads-title">
      <h2 id="uploads-title">{words.tryIt}</h2>
      <button
        type="button"
        className={over ? 'drop over' : 'drop'}
        onClick={() => input.current?.click()}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 15v3a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2v-3" />
        </svg>
        <span>
          <strong>{words.drop}</strong> {words.orChoose}
        </span>
      </button>
      <input
        ref={input}
        data-testid="file-input"
        className="visually-hidden"
        type="file"
        accept="image/*"
        multiple
        tabIndex={-1}
        aria-label={words.toUpload}
        onChange={(event) => {
          upload(event.target.files ?? []);
          event.target.value = '';
        }}
      />
      {known.length > 0 && <Thumbnails images={known} />}
      <div className="actions">
        <button type="button" onClick={samples}>
          {words.samples(sampleCount)}
        </button>
        <button
          type="button"
          className="primary"
          disabled={waiting === 0 || busy !== null}
          aria-describedby="moves"
          onClick={() => run('pipeline')}
        >
          {busy === 'pipeline' ? words.running : `${words.run}${waiting ? ` · ${waiting}` : ''}`}
        </button>
        <button
          type="button"
          className="quiet"
          disabled={known.length === 0 || busy !== null}
          onClick={() => run('clear')}
        >
          {words.delete}
        </button>
      </div>
      <p className="note" id="moves">
        {words.moves(waiting)}
      </p>
    </section>
  );
}
