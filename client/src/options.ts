/** Refuses nonsense by its option's name, before it spins, hangs, or carries a token to another host. Pure. */
import type { CaseOptions, RequestHeaders, StatusClientOptions } from './types.js';

/** A timer with a longer delay fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_WAIT_SECONDS = 3600;

type Check = (value: unknown) => boolean;

const isFunction: Check = (value) => typeof value === 'function';
const isWithin =
  (min: number, max: number): Check =>
  (value) =>
    typeof value === 'number' && value >= min && value <= max;
const has =
  (...methods: readonly string[]): Check =>
  (value) =>
    methods.every((name) => isFunction((value as Record<string, unknown>)[name]));

/**
 * `https://host:port/path`, or `/path` on the page's own origin. Nothing looser: what is joined to it must not change
 * the host (`https://` + `/api` is the host `api`) or vanish in a query, and a setting that is missing is no host.
 */
const ADDRESS =
  /^(https?:\/\/(?!(undefined|null)([:/]|$))(\[[\da-f:.]+]|[^\s/\\?#@:[\]]+)(:\d+)?(?![^/])|\/(?![/\\]))[^\s?#]*$/i;

/** Where a status, or its stream, is already. */
const STATUS_ADDRESS = /\/cases(\/[^/]*)?\/storage\/status(\/stream)?$/i;

/** What HTTP can carry. `fetch` refuses the rest too, but quotes it in its error, be it a key or a token. */
const HEADER = /^[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*$/;
/** No `Headers` or `Map`: `fetch` wrappers spread an object. */
const isHeaders: Check = (value) =>
  Object(value) === value &&
  !has('entries')(value) &&
  Object.entries(value as object).every(([name, text]) => typeof text === 'string' && HEADER.test(`${name}:${text}`));

/** What a path hands on unchanged as one segment: not `.` or `..`, and no half of a surrogate pair, which has no bytes. */
const CASE = /^(?!\.\.?$)[^\ud800-\udfff]+$/u;
const CASE_ADVICE = 'give a string other than "", "." and "..", or leave it out';
const isCase: Check = (value) => typeof value === 'string' && CASE.test(value);

type Option = Exclude<keyof StatusClientOptions, 'baseUrl'>;
const CHECKS: Readonly<Record<Option, Check>> = {
  caseId: isCase,
  getToken: isFunction,
  headers: (value) => isFunction(value) || isHeaders(value),
  transport: (value) => ['auto', 'long-poll', 'sse', 'poll'].includes(value as string),
  fetch: isFunction,
  intervalMs: isWithin(0, MAX_TIMER_MS),
  waitSeconds: isWithin(1, MAX_WAIT_SECONDS),
  activity: has('subscribe'),
  network: has('subscribe'),
  onError: isFunction,
  clock: has('now', 'schedule'),
  random: isFunction,
};

function refuse(name: string, value: unknown, advice = 'see the README'): never {
  // Not the value itself, which may be a key or a token.
  const kind = typeof value === 'number' ? value : typeof value;
  throw new TypeError(`The option ${name} is unusable (${kind}): ${advice}.`);
}

/** Throws a TypeError that names the first option that is unusable; `null` counts as absent. */
export function checkOptions(options: Readonly<Partial<Record<Option, unknown>>>): void {
  for (const [name, isUsable] of Object.entries(CHECKS) as [Option, Check][]) {
    const value = options[name] ?? null;
    if (value !== null && !isUsable(value)) refuse(name, value, name === 'caseId' ? CASE_ADVICE : undefined);
  }
}

/** What the option `headers` says. Throws a TypeError when it cannot be sent. */
export function toHeaders(headers: unknown): RequestHeaders {
  return isHeaders(headers) ? (headers as RequestHeaders) : refuse('headers', headers);
}

/**
 * The address that `baseUrl` says, without slashes at its end. Throws a TypeError when it is none, and when it names a
 * status itself, into which no case can be put.
 */
export function toAddress(baseUrl: unknown, { caseId }: CaseOptions): string {
  if (typeof baseUrl !== 'string' || !ADDRESS.test(baseUrl)) refuse('baseUrl', baseUrl);
  const address = baseUrl.replace(/\/+$/, '');
  if (caseId && STATUS_ADDRESS.test(address)) refuse('baseUrl', baseUrl, 'with caseId it ends before /cases');
  return address;
}
