/**
 * The legend in a real Chromium, in every state, theme, language and width: what assistive technology finds, and
 * that no text overlaps another or leaves the card.
 */
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { states } from '../gallery/states.js';
import { audit, launchChromium } from '../support/browser.js';
import { buildGallery, type Gallery } from '../support/gallery.js';

const names = Object.keys(states);

let gallery: Gallery;
let browser: Browser;

beforeAll(async () => {
  [gallery, browser] = await Promise.all([buildGallery(), launchChromium()]);
}, 90_000);

afterAll(async () => {
  await browser?.close();
  await gallery?.remove();
});

async function open(query: Record<string, string>, width = 1280): Promise<Page> {
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  await gallery.open(page, query);
  return page;
}

describe.each(['light', 'dark'])('%s: axe finds nothing', (theme) => {
  let page: Page;

  beforeAll(async () => {
    page = await open({ theme, widths: '390' });
    await page.getByText('Not live.').first().waitFor(); // the live regions have spoken
  }, 40_000);
  afterAll(() => page?.close());

  it.each(names)('in "%s", which has one heading and one live region', async (name) => {
    const figure = page.locator(`figure[data-name="${name}"]`);
    expect(await audit(page, `figure[data-name="${name}"]`)).toEqual([]);
    expect(await figure.getByRole('heading').count()).toBe(1);
    expect(await figure.locator('[aria-live]').count()).toBe(1);
    expect(await figure.getByRole('status').textContent()).toMatch(
      /\d queued, .+ completed\.( 85 of 120 done\.)?$|^Not live\.$/,
    );
  });

  it('on the whole page', async () => {
    expect(await audit(page)).toEqual([]);
  });
});

/** Texts that leave their card, and pairs that overlap. Runs in the page. */
function collisions(): string[] {
  return [...document.querySelectorAll('[data-testid=legend]')].flatMap((card) => {
    const box = card.getBoundingClientRect();
    const name = card.parentElement?.firstChild?.textContent ?? '';
    const walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
    const texts: { text: string; rects: DOMRect[] }[] = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.parentElement?.closest('[aria-live]')) continue; // only heard
      const range = document.createRange();
      range.selectNodeContents(node);
      texts.push({ text: node.textContent ?? '', rects: [...range.getClientRects()] });
    }
    const outside = texts.filter(({ rects }) =>
      rects.some((rect) => rect.left < box.left || rect.right > box.right || rect.bottom > box.bottom),
    );
    const cross = (a: DOMRect, b: DOMRect): boolean =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
    const pairs = texts.flatMap((one, i) =>
      texts
        .slice(i + 1)
        .filter((other) => one.rects.some((a) => other.rects.some((b) => cross(a, b))))
        .map((other) => `${name}: "${one.text}" over "${other.text}"`),
    );
    return [...outside.map(({ text }) => `${name}: "${text}" is outside`), ...pairs];
  });
}

describe.each([1, 2])('text × %i', (text) => {
  it.each(['en', 'id'])('in %s, 280 to 1280 px wide, no text overlaps another or leaves the card', async (locale) => {
    const page = await open({ widths: '280,320,390,1280', locale, text: String(text) }, 2800);
    expect(await page.getByTestId('legend').count()).toBe(4 * names.length);
    await expect.poll(() => page.evaluate(collisions), { timeout: 20_000 }).toEqual([]);
    const title = page.getByTestId('legend').getByRole('heading').first();
    expect(await title.evaluate((node) => getComputedStyle(node).fontSize)).toBe(`${16 * text}px`);
    await page.close();
  });
});

it('columns are side by side where there is room, and one under the other where there is none', async () => {
  const page = await open({ states: 'live,seven digits', widths: '320,900' }, 1400);
  const tops = (label: string) =>
    page
      .getByLabel(label, { exact: true })
      .evaluateAll((nodes) => nodes.map((node) => Math.round(node.getBoundingClientRect().top)));
  await expect
    .poll(async () => {
      const [queued, completed] = [await tops('Queued: 1234567'), await tops('Completed: 9999999')];
      return queued.map((y, i) => y === completed[i]);
    })
    .toEqual([false, true]);
  expect(await tops('Queued: 12')).toEqual(await tops('Completed: 85'));
  await page.close();
});

it('progress is a bar to see and a value to assistive technology', async () => {
  const page = await open({ states: 'progress', widths: '390' });
  const bar = page.getByRole('progressbar', { name: '85 of 120 done' });
  const value = (name: string) => bar.getAttribute(`aria-value${name}`);
  expect(await Promise.all(['min', 'now', 'max'].map(value))).toEqual(['0', '85', '120']);
  const widths = bar.locator(':scope > :last-child').evaluate((track) => {
    const filled = track.firstElementChild?.getBoundingClientRect().width ?? 0;
    return filled / track.getBoundingClientRect().width;
  });
  expect(await widths).toBeCloseTo(85 / 120, 2);
  await page.close();
});
