/** Words and numbers of a locale: whatever a system or an app gives, something true and readable comes out. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { duration, english, fill, indonesian, withOwnWords } from '../../src/ui/labels.js';
import { wordingOf } from '../../src/ui/locale.js';

afterEach(() => vi.unstubAllGlobals());

describe.each([
  ['en', english, '1,234,567'],
  ['en-US', english, '1,234,567'],
  ['en_US', english, '1,234,567'],
  ['EN-us', english, '1,234,567'],
  ['en-IN', english, '12,34,567'],
  ['en_GB.UTF-8', english, '1,234,567'],
  ['en-u-nu-arab', english, '1,234,567'],
  ['en-US-u-ca-buddhist', english, '1,234,567'],
  ['id', indonesian, '1.234.567'],
  ['id-ID', indonesian, '1.234.567'],
  ['id_ID', indonesian, '1.234.567'],
  ['ID', indonesian, '1.234.567'],
  [' id-ID ', indonesian, '1.234.567'],
  ['id-Latn-ID', indonesian, '1.234.567'],
  ['id_ID@currency=IDR', indonesian, '1.234.567'],
  ['id-ID-', indonesian, '1.234.567'],
  ['in', indonesian, '1.234.567'],
  ['in_ID', indonesian, '1.234.567'],
  ['ind', indonesian, '1.234.567'],
  ['de-DE', english, '1,234,567'],
  ['ar-EG', english, '1,234,567'],
  ['tlh', english, '1,234,567'],
  ['idx', english, '1,234,567'],
  ['C', english, '1,234,567'],
  ['POSIX', english, '1,234,567'],
  ['', english, '1,234,567'],
  ['-', english, '1,234,567'],
  ['constructor', english, '1,234,567'],
  ['__proto__', english, '1,234,567'],
  [undefined, english, '1,234,567'],
  [null, english, '1,234,567'],
  [42, english, '1,234,567'],
  [['id-ID'], english, '1,234,567'],
  [{ languageTag: 'id-ID' }, english, '1,234,567'],
])('%s', (locale, words, million) => {
  it('has its words and separators', () => {
    const { labels, formatCount } = wordingOf(locale);
    expect(labels).toBe(words);
    expect([0, 85, 1_234_567].map(formatCount)).toEqual(['0', '85', million]);
  });

  it.each([
    ['no Intl', undefined],
    ['an Intl without this language', { NumberFormat: Object.assign(() => 0, { supportedLocalesOf: () => [] }) }],
    [
      'an Intl that throws',
      {
        NumberFormat: Object.assign(
          function () {
            throw new RangeError('no data');
          },
          { supportedLocalesOf: (tag: string) => [tag] },
        ),
      },
    ],
    ['half an Intl', {}],
  ])('needs no more than JavaScript: %s', (_, intl) => {
    vi.stubGlobal('Intl', intl);
    const { labels, formatCount } = wordingOf(locale);
    expect(labels).toBe(words);
    const separator = words === indonesian ? '.' : ',';
    expect([0, 12, 123, 1234, 12_345, 123_456, 1_234_567].map(formatCount)).toEqual(
      ['0', '12', '123', '1,234', '12,345', '123,456', '1,234,567'].map((text) => text.replaceAll(',', separator)),
    );
  });
});

it('both languages have every word, with the same places for values', () => {
  const places = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
  expect(Object.keys(indonesian)).toEqual(Object.keys(english));
  for (const [name, word] of Object.entries(english))
    expect([name, places(indonesian[name as keyof typeof indonesian])]).toEqual([name, places(word)]);
});

it.each([undefined, null, {}, { queued: undefined }, { title: null, live: 7 }])(
  'words of the app that are none leave the own ones: %j',
  (own) => {
    expect(withOwnWords(english, own as never)).toEqual(english);
  },
);

it("an app's title is shown live and not; its title for the other case goes first", () => {
  expect(withOwnWords(english, { title: 'Mine' })).toMatchObject({ title: 'Mine', titleNotLive: 'Mine' });
  expect(withOwnWords(english, { title: 'Mine!', titleNotLive: 'Mine' })).toMatchObject({ titleNotLive: 'Mine' });
});

it('durations are minutes, then hours', () => {
  expect([1, 10, 119, 120, 600].map((minutes) => duration(english, minutes))).toEqual([
    '1 min',
    '10 min',
    '119 min',
    '2 h',
    '10 h',
  ]);
  expect(fill('{a} and {b}', { a: 1 })).toBe('1 and ');
});
