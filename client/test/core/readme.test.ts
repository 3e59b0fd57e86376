/** The READMEs hold what `make test-consumers` runs, name what there is, and link to what is in the package. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const root = new URL('../..', import.meta.url).pathname;
const read = (file: string): string => readFileSync(root + file, 'utf8');
const manifest = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** Lines without indentation and comments, which are translated. */
const bare = (code: string): string =>
  code
    .split('\n')
    .map((line) => line.replace(/(^|\s)\/\/ .*|^\/\*\*.*\*\/$/, '').trim())
    .filter(Boolean)
    .join('\n');

const apps = readdirSync(`${root}test/consumers`, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ name, parentPath }) => ({ name, code: readFileSync(`${parentPath}/${name}`, 'utf8') }));

/** Found by their name or by a tool's convention. */
const CONVENTIONAL = /\.(config|test)\.|^(page|layout)\.jsx$|^(package|app)\.json$|^\./;

it.each(apps.filter(({ name }) => !CONVENTIONAL.test(name)))('test/consumers: $name is used', ({ name }) => {
  const stem = name.replace(/\.\w+$/, '');
  expect(apps.some((other) => other.name !== name && other.code.includes(stem))).toBe(true);
});

interface Block {
  readonly language: string;
  readonly code: string;
}

function blocksOf(readme: string): Block[] {
  return [...readme.matchAll(/^```(\w*)\n(.*?)^```/gms)].map(([, language = '', code = '']) => ({ language, code }));
}

describe.each(['README.md', 'README.id.md'])('%s', (file) => {
  const readme = read(file);
  const blocks = blocksOf(readme);

  it.each(blocks.filter(({ language }) => language !== 'sh'))('an app of test/consumers has: $code', ({ code }) => {
    expect(apps.some((app) => bare(app.code).includes(bare(code)))).toBe(true);
  });

  it('its commands are scripts of the package', () => {
    const commands = blocks.filter(({ language }) => language === 'sh').map(({ code }) => code);
    const named = [...commands.join('\n').matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script);
    expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(named));
    expect(named).not.toEqual([]);
  });

  it('its links lead to files of the package and to its own headings', () => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root });
    const [{ files }] = JSON.parse(packed.toString()) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    const headings = [...readme.matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => anchor(text));
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].flatMap(([, to = '']) => (to.includes('://') ? [] : to));
    for (const link of links) {
      const [path, heading] = link.split('#') as [string, string?];
      if (path) expect(paths).toContain(path);
      else expect(headings).toContain(heading);
    }
    expect(paths).toContain('LICENSE');
  });
});

/** As GitHub makes them. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
