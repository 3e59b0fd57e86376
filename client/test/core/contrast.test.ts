/** Every text of the legend can be read, in both themes, on the pages that they are made for. */
import { describe, expect, it } from 'vitest';
import { contrast, over, parseColor } from '../support/color.js';
import { darkTheme, lightTheme, type Theme, themeOf } from '../../src/ui/theme.js';

/** WCAG 2.2, 1.4.3: for text, and for text of 18.66 px and more in bold. */
const TEXT = 4.5;
const LARGE_TEXT = 3;
/** 1.4.11: for what is no text. */
const GRAPHIC = 3;

const surfaces = (theme: Theme, page: string): number[][] =>
  theme.gradient.map((color) => over(parseColor(color), parseColor(page)));

const texts = ['title', 'label', 'liveText', 'connecting', 'trouble', 'quiet', 'unconfirmed'] as const;

describe.each([
  ['light', lightTheme, ['#fff', '#eef3fb', '#e2e8f0']],
  ['dark', darkTheme, ['#000', '#0b111c', '#404a5a']],
] as const)('%s', (_, theme, pages) => {
  it.each(pages)('on a page of %s', (page) => {
    for (const surface of surfaces(theme, page)) {
      for (const name of texts)
        expect(contrast(parseColor(theme[name]), surface), `${name} on ${surface}`).toBeGreaterThanOrEqual(TEXT);
      for (const name of ['failed', 'other'] as const)
        expect(contrast(parseColor(theme.dots[name]), surface), `${name} on ${surface}`).toBeGreaterThanOrEqual(
          GRAPHIC,
        );
      // The existing component's blue, at 24 px and weight 900.
      expect(contrast(parseColor(theme.value), surface), `value on ${surface}`).toBeGreaterThanOrEqual(LARGE_TEXT);
    }
  });

  it('numbers that nobody confirms look different from those that are live', () => {
    expect(theme.unconfirmed).not.toBe(theme.value);
  });
});

it.each([undefined, null, 'light', 'unspecified', 'auto', 'sepia', 7, false, [], {}, { title: undefined }])(
  '%j is the light theme',
  (choice) => {
    expect(themeOf(choice)).toEqual(lightTheme);
  },
);

it('colours of the app go over the light ones, one by one', () => {
  expect(themeOf('dark')).toBe(darkTheme);
  expect(themeOf({ title: '#123456', dots: { queued: 'red' }, live: null })).toEqual({
    ...lightTheme,
    title: '#123456',
    dots: { ...lightTheme.dots, queued: 'red' },
  });
});
