import { createStatusClient } from '../../src/index.js';
import type {
  ActivitySource,
  NetworkSource,
  NetworkState,
  StatusClient,
  StatusClientOptions,
  StorageStatus,
} from '../../src/types.js';
import { FakeClock, seededRandom, settle } from './fake-clock.js';
import { MemoryFetch } from './memory-fetch.js';
import { type ServiceOptions, StatusService } from './status-service.js';

/** A source of activity or network that a test switches. */
export class Switch<T> {
  private readonly listeners = new Set<(value: T) => void>();

  constructor(private value: T) {}

  get listening(): number {
    return this.listeners.size;
  }

  subscribe(onChange: (value: T) => void): () => void {
    this.listeners.add(onChange);
    onChange(this.value);
    return () => this.listeners.delete(onChange);
  }

  set(value: T): void {
    this.value = value;
    for (const listener of [...this.listeners]) listener(value);
  }
}

export interface Rig {
  readonly clock: FakeClock;
  readonly service: StatusService;
  readonly wire: MemoryFetch;
  readonly client: StatusClient;
  readonly activity: Switch<boolean> & ActivitySource;
  readonly network: Switch<NetworkState> & NetworkSource;
  /** What a listener of `start()` received. */
  readonly heard: StorageStatus[];
  /** States in the order in which a watcher of `start()` saw them. */
  readonly states: string[];
  /** Subscribes a listener and a watcher, and lets the first answer arrive. */
  start(): Promise<() => void>;
}

/** A client, its server and everything it depends on, on one fake clock. */
export function createRig(options: Partial<StatusClientOptions> = {}, service: ServiceOptions = {}, seed = 1): Rig {
  const clock = new FakeClock();
  const statusService = new StatusService(clock, { token: 'secret', ...service });
  const wire = new MemoryFetch(statusService, clock);
  const activity = new Switch(true);
  const network = new Switch<NetworkState>({ online: true, type: null });
  const client = createStatusClient({
    baseUrl: 'https://status.test/api',
    getToken: () => 'secret',
    transport: 'long-poll',
    fetch: wire.fetch,
    clock,
    random: seededRandom(seed),
    activity,
    network,
    ...options,
  });
  const heard: StorageStatus[] = [];
  const states: string[] = [];
  return {
    clock,
    service: statusService,
    wire,
    client,
    activity,
    network,
    heard,
    states,
    async start() {
      const note = (): void => {
        if (states.at(-1) !== client.state) states.push(client.state);
      };
      const stops = [client.watch(note), client.subscribe((status) => heard.push(status))];
      note();
      await settle();
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}
