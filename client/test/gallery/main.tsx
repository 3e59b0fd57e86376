/**
 * Legends in every state, side by side, for tests and pictures.
 *
 * `?states=live,lost&widths=320,390&texts=1,2&theme=dark&locale=id`: all of them when left out.
 */
import { createRoot } from 'react-dom/client';
import { fakeSource } from '../support/fake-source.js';
import { darkTheme, RealtimeStorageStatus } from '../../src/web/index.js';
import { PROGRESS, STUCK, states } from './states.js';

const query = new URLSearchParams(location.search);
const list = (name: string, all: readonly string[]): readonly string[] => query.get(name)?.split(',') ?? all;

const theme = query.get('theme') === 'dark' ? 'dark' : 'light';
const locale = query.get('locale') ?? 'en';
document.documentElement.lang = locale;
Object.assign(document.body.style, {
  background: theme === 'dark' ? '#0b111c' : '#eef3fb',
  color: theme === 'dark' ? darkTheme.label : '#444',
});

/** Text at another size, as a system's setting makes it: every size that is set, in a sheet or at an element. */
function enlarge(factor: number): void {
  const set = new WeakMap<CSSStyleDeclaration, string>();
  const apply = (style: CSSStyleDeclaration): void => {
    if (!style.fontSize || set.get(style) === style.fontSize) return;
    style.fontSize = `${parseFloat(style.fontSize) * factor}px`;
    set.set(style, style.fontSize);
  };
  const visit = (rule: CSSRule): void => {
    if (rule instanceof CSSStyleRule && rule.selectorText.includes('.r-fontSize')) apply(rule.style);
    for (const inner of (rule as CSSGroupingRule).cssRules ?? []) visit(inner);
  };
  setInterval(() => {
    for (const sheet of document.styleSheets) for (const rule of sheet.cssRules) visit(rule);
    for (const element of document.querySelectorAll<HTMLElement>('[style*=font-size]')) apply(element.style);
  }, 20);
}
enlarge(Number(query.get('text') ?? 1));

function Legend({ name, width }: { name: string; width: string }) {
  const source = fakeSource();
  const [first, ...next] = states[name] ?? [];
  if (first) source.show(first);
  setTimeout(() => next.forEach(source.show));
  return (
    <figure data-name={name} style={{ width: width === '100%' ? 'auto' : Number(width) - 16 }}>
      <figcaption>{`${name} · ${width}`}</figcaption>
      <RealtimeStorageStatus
        source={source}
        theme={theme}
        locale={locale}
        onSignIn={() => undefined}
        headingLevel={2}
        stuckAfterMs={name === STUCK ? 1 : null}
        expected={name === PROGRESS ? 120 : null}
        style={{ marginVertical: 0 }}
        testID="legend"
      />
    </figure>
  );
}

const root = document.getElementById('root') as HTMLElement;
const widths = list('widths', ['320']);
root.style.gridTemplateColumns = `repeat(${widths.length}, max-content)`;
createRoot(root).render(
  list('states', Object.keys(states)).map((name) =>
    widths.map((width) => <Legend key={`${name} ${width}`} name={name} width={width} />),
  ),
);
