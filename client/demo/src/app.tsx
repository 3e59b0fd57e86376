/** The page: legends of everybody and of one case, connection, uploads, the last minutes. */
import { createStatusClient, RealtimeStorageStatus, type Transport, useStorageStatus } from 'blob-status-client/web';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { CaseForm, CaseLegend, useCase } from './case.js';
import { Chart } from './chart.js';
import type { DemoConfig } from './config.js';
import { Connection } from './connection.js';
import { Images } from './images.js';
import { Meter } from './meter.js';
import { createStorage } from './storage.js';
import { useTheme } from './theme.js';
import { Uploads } from './uploads.js';
import { useLanguage, WordsProvider } from './words.js';

const TICK_MS = 1000;
const LEGEND = { headingLevel: 2, style: { marginVertical: 0 } } as const;
/** `?transport=sse` starts with SSE. */
const asked = new URLSearchParams(location.search).get('transport');
const first: Transport = asked === 'sse' || asked === 'poll' ? asked : 'long-poll';

function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** A client for this transport; every request is counted. */
function useClient(config: DemoConfig, transport: Transport, meter: Meter) {
  return useMemo(
    () =>
      createStatusClient({
        baseUrl: config.statusUrl,
        getToken: () => config.token,
        transport,
        fetch: (url, init) => {
          meter.countRequest();
          return fetch(url, init);
        },
      }),
    [config, transport, meter],
  );
}

export function App({ config }: { config: DemoConfig }): ReactNode {
  const [transport, setTransport] = useState(first);
  const [problem, setProblem] = useState<string | null>(null);
  const [meter] = useState(() => new Meter());
  const [images] = useState(() => {
    const report = (error: unknown): void => setProblem(error instanceof Error ? error.message : String(error));
    return new Images(createStorage(config), meter.uploadStarted, report);
  });
  const theme = useTheme();
  const { language, words, other, otherName, toggle } = useLanguage();
  const client = useClient(config, transport, meter);
  const snapshot = useStorageStatus(client);
  const [caseId, follow] = useCase(config);
  const look = { ...LEGEND, source: client, theme: theme.name, locale: language };
  useEffect(() => client.subscribe((status) => meter.heard(status)), [client, meter]);
  const now = Math.max(useNow(), meter.samples.at(-1)?.at ?? 0);

  return (
    <WordsProvider value={words}>
      <div className="glow" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
      <div className="page">
        <header>
          <div>
            <h1>{words.title}</h1>
            <p>{words.intro}</p>
          </div>
          <div className="choices">
            <button type="button" lang={other} onClick={toggle}>
              {otherName}
            </button>
            <button type="button" onClick={theme.toggle}>
              <span aria-hidden="true">{theme.name === 'dark' ? '☀️' : '🌙'}</span>
              <span className="visually-hidden">{words.useTheme[theme.other]}</span>
            </button>
          </div>
        </header>
        <main>
          <div className="column">
            <RealtimeStorageStatus
              {...look}
              labels={caseId === null ? null : { title: words.everybody }}
              testID="legend"
            />
            <Connection snapshot={snapshot} wanted={transport} onTransport={setTransport} meter={meter} />
          </div>
          <div className="column">
            {config.cases && caseId === null && <CaseForm onStart={follow} />}
            {caseId !== null && (
              <CaseLegend {...look} caseId={caseId} images={images} config={config} onLeave={() => follow(null)} />
            )}
            <Uploads images={images} caseId={caseId} onError={(error) => setProblem(String(error))} />
          </div>
          <section className="card wide" aria-labelledby="chart-title">
            <h2 id="chart-title">{words.minutes}</h2>
            <Chart samples={meter.samples} now={now} />
          </section>
        </main>
        {problem && (
          <div className="toast" role="alert">
            {problem}
            <button type="button" className="quiet" onClick={() => setProblem(null)}>
              <span aria-hidden="true">✕</span>
              <span className="visually-hidden">{words.dismiss}</span>
            </button>
          </div>
        )}
      </div>
    </WordsProvider>
  );
}
