/** The client: decides when a session runs, remembers what it said, tells the listeners. */
import { systemClock } from './clock.js';
import { type ConditionChange, Conditions } from './conditions.js';
import type { StatusError } from './errors.js';
import { createHttp, type Http } from './http.js';
import { Listeners } from './listeners.js';
import { createTokenBucket, DEFAULT_INTERVAL_MS, networkIntervalMs, type TakeToken } from './pacing.js';
import type { Reading } from './protocol.js';
import { runSession } from './session.js';
import { pageActivity, pageNetwork } from './signals.js';
import { initialSnapshot, reduceSnapshot, type SnapshotEvent } from './snapshot.js';
import type { Memory } from './transports/exchange.js';
import type {
  ConnectionState,
  StatusClient,
  StatusClientOptions,
  StatusSnapshot,
  StopReason,
  Transport,
} from './types.js';

const DEFAULT_WAIT_SECONDS = 25;

/**
 * Makes a client. Nothing is sent before the first listener, and nothing after the last.
 *
 * @example
 * const client = createStatusClient({ baseUrl: 'https://example.com/api', getToken: () => token });
 * const stop = client.subscribe(({ queued, processing, completed }) => console.log(queued, processing, completed));
 */
export function createStatusClient(options: StatusClientOptions): StatusClient {
  return new Client(options);
}

const nothing = (): void => undefined;

class Client implements StatusClient {
  private readonly clock;
  private readonly http: Http;
  private readonly takeToken: TakeToken;
  private readonly conditions: Conditions;
  private readonly listeners: Listeners;
  private readonly watchers = new Set<() => void>();
  private readonly memory: Memory = { reading: null, viaQuery: false, lostValidators: 0 };
  private readonly wanted: Transport;
  private streamAgainAt = Number.NEGATIVE_INFINITY;
  private snapshot: StatusSnapshot;
  private rejected: StatusError | null = null;
  private closed = false;
  private confirmations = 0;
  private answeredAt: number | null = null;
  private running: AbortController | null = null;
  /** Settles when the previous session is over: two never overlap. */
  private lastSession: Promise<void> = Promise.resolve();

  constructor(private readonly options: StatusClientOptions) {
    const { transport = 'auto', activity = pageActivity(), network = pageNetwork(), clock = systemClock } = options;
    this.clock = clock;
    this.http = createHttp(options, clock);
    this.takeToken = createTokenBucket(clock.now());
    this.conditions = new Conditions(activity, network, (change) => this.onCondition(change));
    this.listeners = new Listeners(options.onError ?? ((error) => console.error(error)));
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
    if (this.closed) return nothing;
    const remove = this.listeners.add(listener, options);
    this.update();
    queueMicrotask(() => {
      if (this.snapshot.state === 'live' && this.memory.reading) this.listeners.tell(this.memory.reading);
    });
    return () => {
      remove();
      this.update();
    };
  };

  readonly watch: StatusClient['watch'] = (onChange) => {
    if (this.closed) return nothing;
    const watcher = (): void => onChange();
    this.watchers.add(watcher);
    this.update();
    return () => {
      this.watchers.delete(watcher);
      this.update();
    };
  };

  readonly refresh = (): void => {
    this.rejected = null;
    this.http.forgetRefusal();
    this.restartOnNewPath();
  };

  readonly close = (): void => {
    this.closed = true;
    this.listeners.clear();
    this.update();
    this.watchers.clear();
  };

  /** Brings what runs in line with what is wanted. Called after every change of either. */
  private update(): void {
    const wanted = !this.closed && this.listeners.size + this.watchers.size > 0;
    if (wanted) this.conditions.open();
    else {
      this.conditions.close();
      this.rejected = null;
    }
    const reason = this.stopReason(wanted);
    if (reason) this.halt({ type: 'stopped', reason, ...(this.rejected && { error: this.rejected }) });
    else if (!this.conditions.network.online) this.halt({ type: 'offline' });
    else if (!this.running) this.start();
  }

  private stopReason(wanted: boolean): StopReason | null {
    if (this.closed) return 'closed';
    if (!wanted) return 'idle';
    if (!this.conditions.active) return 'background';
    return this.rejected ? 'rejected' : null;
  }

  private onCondition(change: ConditionChange): void {
    if (change === 'path') this.restartOnNewPath();
    else this.update();
  }

  /** What was learnt about the old path, and a socket on it, are worth nothing. */
  private restartOnNewPath(): void {
    this.memory.viaQuery = false;
    this.streamAgainAt = Number.NEGATIVE_INFINITY;
    this.abort();
    this.update();
  }

  private halt(event: SnapshotEvent): void {
    this.abort();
    this.dispatch(event);
  }

  private abort(): void {
    this.running?.abort();
    this.running = null;
  }

  private start(): void {
    const controller = new AbortController();
    this.running = controller;
    this.dispatch({ type: 'connecting', transport: this.transport() });
    // Not before the next microtask: subscribing and unsubscribing in one go (React's StrictMode) sends nothing.
    this.lastSession = this.lastSession.then(() => this.run(controller.signal));
  }

  private run(signal: AbortSignal): Promise<void> {
    return runSession({
      exchange: {
        http: this.http,
        clock: this.clock,
        memory: this.memory,
        waitSeconds: this.options.waitSeconds ?? DEFAULT_WAIT_SECONDS,
        signal,
        confirm: (reading) => this.confirm(reading),
      },
      takeToken: this.takeToken,
      random: this.options.random ?? Math.random,
      transport: () => this.transport(),
      intervalMs: () => this.intervalMs(),
      confirmations: () => this.confirmations,
      fail: (error) => this.fail(error),
      fallBack: (forMs) => {
        this.streamAgainAt = this.clock.now() + forMs;
      },
    });
  }

  private transport(): Transport {
    return this.wanted === 'sse' && this.clock.now() < this.streamAgainAt ? 'long-poll' : this.wanted;
  }

  /** A listener's wish, else what suits the network, else the client's default. */
  private intervalMs(): number {
    const { type } = this.conditions.network;
    return this.listeners.intervalMs ?? networkIntervalMs(type) ?? this.options.intervalMs ?? DEFAULT_INTERVAL_MS;
  }

  private confirm(reading: Reading | null): boolean {
    const known = this.memory.reading;
    const current = reading && reading.version !== known?.version ? reading : known;
    if (!current) return false;
    this.memory.reading = current;
    this.confirmations += 1;
    this.answeredAt = this.clock.now();
    this.dispatch({ type: 'confirmed', status: current.status, transport: this.transport() });
    this.listeners.tell(current);
    return current !== known;
  }

  private fail(error: StatusError): void {
    if (error.code === 'rejected') {
      this.rejected = error;
      this.update();
    } else if (error.code === 'unauthorized') {
      this.dispatch({ type: 'stopped', reason: 'unauthorized', error });
    } else {
      this.dispatch({ type: 'failed', error });
    }
    this.options.onError?.(error);
  }

  private dispatch(event: SnapshotEvent): void {
    const next = reduceSnapshot(this.snapshot, event);
    if (next === this.snapshot) return;
    this.snapshot = next;
    for (const watcher of [...this.watchers]) watcher();
  }
}
