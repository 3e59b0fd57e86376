/** A case of one's own: started under a name, then followed in a legend beside everybody's. */
import { RealtimeStorageStatus } from 'blob-status-client/web';
import { type ComponentProps, type ReactNode, useState, useSyncExternalStore } from 'react';
import type { DemoConfig } from './config.js';
import type { Images } from './images.js';
import { useWords } from './words.js';

const KEY = 'blob-status-demo-case';
/** What is one segment of a path everywhere. */
const NAME = String.raw`[\p{L}\p{N}_\-]+`;
const LONGEST_NAME = 40;

const proposeName = (): string => `case-${Math.random().toString(36).slice(2, 6)}`;

/** The case that is followed, also after a reload, and a function that follows another or, with `null`, none. */
export function useCase({ cases }: DemoConfig): [string | null, (caseId: string | null) => void] {
  const [caseId, setCaseId] = useState(() => (cases ? localStorage.getItem(KEY) : null));
  const follow = (next: string | null): void => {
    if (next === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
    setCaseId(next);
  };
  return [caseId, follow];
}

export function CaseForm({ onStart }: { onStart: (caseId: string) => void }): ReactNode {
  const words = useWords();
  const [name, setName] = useState(proposeName);
  return (
    <form
      className="card"
      aria-labelledby="case-title"
      onSubmit={(event) => {
        event.preventDefault();
        onStart(name);
      }}
    >
      <h2 id="case-title">{words.startCase}</h2>
      <div className="case-name">
        <input
          aria-label={words.caseName}
          aria-describedby="case-note"
          title={words.caseNameRule}
          value={name}
          required
          pattern={NAME}
          maxLength={LONGEST_NAME}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit">{words.start}</button>
      </div>
      <p className="note" id="case-note">
        {words.ownCounts}
      </p>
    </form>
  );
}

type LegendProps = Omit<ComponentProps<typeof RealtimeStorageStatus>, 'caseId'>;

interface Props extends LegendProps {
  readonly caseId: string;
  readonly images: Images;
  readonly config: DemoConfig;
  readonly onLeave: () => void;
}

/** The case's counts, and how many of the images that were uploaded here are done. */
export function CaseLegend({ caseId, images, config, onLeave, ...look }: Props): ReactNode {
  const words = useWords();
  const expected = useSyncExternalStore(images.watch, () => images.sentTo(caseId));
  return (
    <div className="case">
      <RealtimeStorageStatus
        {...look}
        caseId={caseId}
        expected={expected}
        labels={{ title: words.yourCase(caseId) }}
        testID="case-legend"
      />
      <p className="note">
        {words.uploadsGoTo} <code>{`${config.containers.queued}/${caseId}/`}</code>
        <button type="button" onClick={onLeave}>
          {words.anotherCase}
        </button>
      </p>
    </div>
  );
}
