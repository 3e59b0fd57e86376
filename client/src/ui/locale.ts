/** Which language a locale means, and how it writes numbers. Pure. */
import { english, indonesian, type Labels } from './labels.js';

export const locales = { en: english, id: indonesian } as const;

export type Locale = keyof typeof locales;

/** `in` is how Java and old Android spell Indonesian. */
const LANGUAGES: ReadonlyMap<string, Locale> = new Map([
  ['en', 'en'],
  ['eng', 'en'],
  ['id', 'id'],
  ['ind', 'id'],
  ['in', 'id'],
]);
/** Where the engine has no `Intl`, or not for this language. */
const SEPARATORS: Readonly<Record<Locale, string>> = { en: ',', id: '.' };

export interface Wording {
  readonly labels: Labels;
  readonly formatCount: (count: number) => string;
}

/**
 * The words and numbers of a locale. English for a language that is not known and for what is no language tag.
 *
 * @param locale As systems give it: `id-ID`, `en_US`, `in`, `id_ID.UTF-8`; anything else does no harm.
 */
export function wordingOf(locale: unknown): Wording {
  const tag = typeof locale === 'string' ? (locale.trim().split(/[.@]/)[0] ?? '').replaceAll('_', '-') : '';
  const known = LANGUAGES.get(tag.split('-')[0]?.toLowerCase() ?? '');
  const language = known ?? 'en';
  const format = (known && intlFormat(tag)) ?? intlFormat(language);
  return { labels: locales[language], formatCount: format ?? ((count) => group(count, SEPARATORS[language])) };
}

/** `null` where the engine cannot: Hermes has builds without `Intl`, and throws at tags that it does not like. */
function intlFormat(tag: string): ((count: number) => string) | null {
  try {
    if (!Intl.NumberFormat.supportedLocalesOf(tag).length) return null;
    const format = new Intl.NumberFormat(tag, { numberingSystem: 'latn' });
    format.format(0);
    return (count) => format.format(count);
  } catch {
    return null;
  }
}

const group = (count: number, separator: string): string => {
  const [whole = '', ...fraction] = String(count).split('.');
  return [whole.replace(/\B(?=(\d{3})+$)/g, separator), ...fraction].join(separator === '.' ? ',' : '.');
};
