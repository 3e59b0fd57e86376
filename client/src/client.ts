/** The client: decides when a session runs, remembers what it said, tells the listeners. */
import { guard, logError } from './app-code.js';
import { systemClock } from './clock.js';
import { type ConditionChange, Conditions } from './conditions.js';
import type { StatusError } from './errors.js';
import { type Account, createHttp, type Http } from './http.js';
import { Listeners } from './listeners.js';
import { createTokenBucket, DEFAULT_INTERVAL_MS, networkIntervalMs, type TakeToken } from './pacing.js';
import { CASE_NOT_PERMITTED, isAnswered, type Reading, statusPath } from './protocol.js';
import { runSession } from './session.js';
import { pageActivity, pageNetwork } from './signals.js';
import { checkOptions, toAddress } from './options.js';
import { initialSnapshot, reduceSnapshot, type SnapshotEvent } from './snapshot.js';
import { Memory } from './transports/exchange.js';
import { Path } from './transports/path.js';
import { takeHeldConnection } from './windows.js';
import type {
  Clock,
  ConnectionState,
  StatusClient,
  StatusClientOptions,
  StatusSnapshot,
  StopReason,
  Transport,
} from './types.js';

const DEFAULT_WAIT_SECONDS = 25;
/** Above this, clients of cases that nobody looks at are let go, the oldest first. */
const MAX_CASES = 1000;

/**
 * Makes a client. Nothing is sent before the first listener, and nothing after the last.
 *
 * @throws TypeError that names the option, when one is nonsense.
 * @example
 * const client = createStatusClient({ baseUrl: 'https://example.com/api', getToken: () => token });
 * const stop = client.subscribe(({ queued, processing, completed }) => console.log(queued, processing, completed));
 */
export function createStatusClient(options: StatusClientOptions): StatusClient {
  return new Client(options);
}

class Client implements StatusClient {
  private readonly clock: Clock;
  private readonly http: Http;
  private readonly takeToken: TakeToken;
  private readonly conditions: Conditions;
  private readonly listeners: Listeners;
  private readonly watchers = new Set<() => void>();
  private readonly memory = new Memory();
  /** What waits for an interval to pass. */
  private readonly wakers = new Set<() => void>();
  private readonly root: Client;
  private readonly account: Account;
  /** Of the root: what {@link forCase} knows. */
  private readonly cases = new Map<string, Client>();
  /** Of the root: the clients of cases that have ever connected, also any that {@link forCase} has let go before. */
  private readonly family = new Set<Client>();
  private readonly wanted: Transport;
  /** Whether a connection may be held open; else this is one window of too many, and polls. */
  private mayHold = true;
  private snapshot: StatusSnapshot;
  /** The last refusal of a token. */
  private refusal: StatusError | null = null;
  private closed = false;
  private answeredAt: number | null = null;
  private running: AbortController | null = null;
  /** Settles when the previous session is over: two never overlap. */
  private lastSession: Promise<void> = Promise.resolve();

  /** @param root The client whose case this is. */
  constructor(
    private readonly options: StatusClientOptions,
    root?: Client,
  ) {
    checkOptions(options);
    if (typeof options.baseUrl !== 'function') toAddress(options.baseUrl, options);
    const { activity = pageActivity(), network = pageNetwork() } = options;
    const transport = options.transport ?? 'auto';
    const report = (thrown: unknown): void => this.report(thrown);
    this.clock = options.clock ?? systemClock;
    this.root = root ?? this;
    this.account = root?.account ?? { token: null, onSignOut: this.reset };
    this.http = createHttp(options, this.clock, this.account);
    this.takeToken = createTokenBucket(this.clock.now());
    this.conditions = new Conditions(activity, network, (change) => this.onCondition(change), report);
    this.listeners = new Listeners(report);
    this.wanted = transport === 'auto' ? (globalThis.document ? 'sse' : 'long-poll') : transport;
    this.snapshot = initialSnapshot(this.wanted);
  }

  readonly getSnapshot = (): StatusSnapshot => this.snapshot;

  get state(): ConnectionState {
    return this.snapshot.state;
  }

  get version(): string | null {
    return this.memory.reading?.validator ?? null;
  }

  get answerAgeMs(): number | null {
    return this.answeredAt === null ? null : this.clock.now() - this.answeredAt;
  }

  readonly subscribe: StatusClient['subscribe'] = (listener, options) => {
    if (options) checkOptions(options);
    const entry = this.listeners.add(listener, options);
    this.closed = false;
    this.update();
    queueMicrotask(() => {
      const { reading } = this.memory;
      if (this.snapshot.state === 'live' && reading && !entry.told) this.listeners.tellOne(entry, reading);
    });
    return () => {
      this.listeners.remove(entry);
      this.update();
    };
  };

  readonly watch: StatusClient['watch'] = (onChange) => {
    const watcher = (): void => onChange();
    this.watchers.add(watcher);
    this.closed = false;
    this.update();
    return () => {
      this.watchers.delete(watcher);
      this.update();
    };
  };

  readonly forCase = (caseId: string): StatusClient => {
    if (caseId && caseId === this.options.caseId) return this;
    if (this.root !== this) return this.root.forCase(caseId);
    const known = this.cases.get(caseId);
    if (known) return known;
    // None is not all images here.
    const client = new Client({ ...this.options, caseId: caseId ?? '' }, this);
    for (const [id, each] of this.cases) {
      if (this.cases.size < MAX_CASES || each.isWanted) continue;
      each.reset(); // whoever still has it is not left with numbers that no reset() reaches
      this.cases.delete(id);
      this.family.delete(each);
    }
    this.cases.set(caseId, client);
    return client;
  };

  readonly refresh = (): void => {
    this.restart(true);
    for (const each of [...this.family]) each.refresh();
  };

  readonly reset = (): void => {
    this.abort();
    this.clear();
    this.restart(true);
    for (const each of [...this.family]) each.reset();
  };

  /** Not for good: React's StrictMode closes in a simulated unmount what it mounts again at once. */
  readonly close = (): void => {
    this.closed = true;
    this.listeners.clear();
    const leaving = [...this.watchers]; // and none who comes when told
    this.update();
    for (const watcher of leaving) this.watchers.delete(watcher);
    for (const each of [...this.family]) each.close();
  };

  private get isWanted(): boolean {
    return !this.closed && this.listeners.size + this.watchers.size > 0;
  }

  /** Brings what runs in line with what is wanted. Called after every change of either. */
  private update(looksNow = false): void {
    const wanted = this.isWanted;
    if (wanted) this.conditions.open();
    else this.conditions.close();
    const reason = this.stopReason(wanted);
    if (reason) {
      this.abort();
      this.dispatch({ type: 'stopped', reason });
    } else if (!this.running) this.start(looksNow);
    else for (const wake of [...this.wakers]) wake(); // the interval may be another now
  }

  private stopReason(wanted: boolean): StopReason | null {
    if (this.closed) return 'closed';
    if (!wanted) return 'idle';
    return this.conditions.active ? null : 'background';
  }

  private onCondition(change: ConditionChange): void {
    if (change === 'path') this.restart();
    else this.update();
  }

  /** What was learnt about the old path, and a socket on it, are worth nothing. */
  private restart(looksNow = false): void {
    this.memory.path = new Path();
    this.abort();
    this.update(looksNow);
  }

  private abort(): void {
    this.running?.abort();
    this.running = null;
  }

  /** @param looksNow Also when the device says that it is offline. */
  private start(looksNow: boolean): void {
    const controller = new AbortController();
    this.running = controller;
    if (this.root !== this) this.root.family.add(this);
    this.http.forgetRefusal();
    const { offline } = this.conditions;
    this.dispatch(offline ? { type: 'offline' } : { type: 'connecting', transport: this.transport() });
    // Not before the next microtask: subscribing and unsubscribing in one go (React's StrictMode) sends nothing.
    this.lastSession = this.lastSession.then(() => this.run(controller.signal, offline, looksNow));
  }

  private run(signal: AbortSignal, isOffline: boolean, looksNow: boolean): Promise<void> {
    this.mayHold = this.wanted === 'poll';
    return runSession({
      exchange: {
        http: this.http,
        clock: this.clock,
        memory: this.memory,
        statusPath: statusPath(this.options.caseId),
        waitSeconds: this.options.waitSeconds ?? DEFAULT_WAIT_SECONDS,
        signal,
        confirm: (reading) => this.confirm(reading),
      },
      takeToken: this.takeToken,
      random: this.options.random ?? Math.random,
      getReady: async () => {
        this.mayHold ||= await takeHeldConnection(signal);
      },
      transport: () => this.transport(),
      intervalMs: () => this.intervalMs(),
      wakers: this.wakers,
      isOffline,
      looksNow,
      fail: (error) => this.fail(error),
    });
  }

  private transport(): Transport {
    if (!this.mayHold) return 'poll';
    const { canStream, path } = this.memory;
    const streams = canStream !== false && path.streams.isUsable(this.clock.now());
    return this.wanted === 'sse' && !streams ? 'long-poll' : this.wanted;
  }

  /** A listener's wish, else the client's option, else what suits the network. */
  private intervalMs(): number {
    const { type } = this.conditions.network;
    return this.listeners.intervalMs ?? this.options.intervalMs ?? networkIntervalMs(type) ?? DEFAULT_INTERVAL_MS;
  }

  private confirm(reading: Reading | null): boolean {
    const known = this.memory.reading;
    const current = reading && reading.version !== known?.version ? reading : known;
    if (!current) return false;
    this.memory.reading = current;
    this.conditions.reached = true;
    this.answeredAt = this.clock.now();
    this.dispatch({ type: 'confirmed', status: current.status, transport: this.transport() });
    // A watcher may have reset the client.
    if (this.memory.reading === current) this.listeners.tell(current);
    return current !== known;
  }

  private fail(error: StatusError): void {
    const isUnauthorized = error.code === 'unauthorized';
    if (error.problem === CASE_NOT_PERMITTED && this.memory.reading) this.clear();
    if (isAnswered(error)) this.conditions.reached = true;
    if (error.code === 'network' || error.code === 'timeout') this.conditions.reached = false;
    if (this.conditions.offline) this.restart();
    else this.dispatch(isUnauthorized ? { type: 'stopped', reason: 'unauthorized', error } : { type: 'failed', error });
    // The same one again: its token has not changed, and nothing was sent.
    if (this.options.onError && error !== this.refusal) this.report(error);
    if (isUnauthorized) this.refusal = error;
  }

  /** Forgets the numbers: they are not for who is signed in now. */
  private clear(): void {
    this.memory.reading = null;
    this.answeredAt = null;
    this.listeners.forget();
    this.dispatch({ type: 'cleared' });
  }

  /** Tells the app, or else the console, what its own code threw. */
  private report(thrown: unknown): void {
    const { onError = logError } = this.options;
    guard(() => onError(thrown), logError);
  }

  private dispatch(event: SnapshotEvent): void {
    const next = reduceSnapshot(this.snapshot, event);
    if (next === this.snapshot) return;
    this.snapshot = next;
    for (const watcher of [...this.watchers]) {
      if (this.watchers.has(watcher)) guard(watcher, (thrown) => this.report(thrown));
    }
  }
}
