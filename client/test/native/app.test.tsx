/** A whole app on React Native: the hook, the phone's signals, and the existing app's code as it is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import NetInfo from '@react-native-community/netinfo';
import { act, render, screen } from '@testing-library/react-native';
import { StrictMode, useEffect, useMemo, useState } from 'react';
import { AppState, Text } from 'react-native';
import { systemClock } from '../../src/clock.js';
import { withStorageStatus as withCoreStatus } from '../../src/index.js';
import * as native from '../../src/native/index.js';
import { useStorageStatus } from '../../src/react/index.js';
import type { StatusClient } from '../../src/types.js';
import { MemoryFetch } from '../support/memory-fetch.js';
import { StatusService } from '../support/status-service.js';

jest.mock('@react-native-community/netinfo', () => ({
  __esModule: true,
  default: { addEventListener: jest.fn(() => () => undefined) },
}));

let service: StatusService;
let wire: MemoryFetch;
let appListeners: Set<(state: string) => void>;
let netListeners: Set<(state: { isConnected: boolean | null; type: string }) => void>;

/** Lets timers of so many milliseconds and everything after them run. */
const pass = (ms: number): Promise<void> =>
  act(async () => {
    await jest.advanceTimersByTimeAsync(ms);
    for (let i = 0; i < 6; i += 1) await new Promise((resolve) => setImmediate(resolve));
  });
const app = (state: string): Promise<void> => act(async () => appListeners.forEach((say) => say(state)));
const net = (isConnected: boolean, type: string): Promise<void> =>
  act(async () => netListeners.forEach((say) => say({ isConnected, type })));

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
  service = new StatusService(systemClock, { token: 'secret' });
  service.counts = { queued: 12, input: 3, output: 85 };
  wire = new MemoryFetch(service, systemClock);
  globalThis.fetch = wire.fetch as typeof fetch;
  appListeners = new Set();
  netListeners = new Set();
  jest.spyOn(AppState, 'addEventListener').mockImplementation((_, run) => {
    appListeners.add(run as (state: string) => void);
    return { remove: () => void appListeners.delete(run as (state: string) => void) } as ReturnType<
      typeof AppState.addEventListener
    >;
  });
  jest.mocked(NetInfo.addEventListener).mockImplementation((run) => {
    netListeners.add(run as never);
    return () => void netListeners.delete(run as never);
  });
});

/** The library has unmounted everything by now: no request may be left. */
afterEach(async () => {
  await pass(0);
  expect([wire.inFlight, service.waiters]).toEqual([0, 0]);
  jest.useRealTimers();
});

const apiService = () => native.withStorageStatus({ baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' });

describe('useStorageStatus', () => {
  function View({ source }: { source: StatusClient | native.ApiService }) {
    const { state, status } = useStorageStatus(source);
    return <Text>{`${state} ${status?.queued ?? '-'}`}</Text>;
  }

  it('100 components share one connection, and the last one ends it', async () => {
    const source = apiService();
    const many = Array.from({ length: 100 }, (_, i) => <View key={i} source={source} />);
    const { rerender } = render(<>{many}</>);
    await pass(1000);
    expect(screen.getAllByText('live 12')).toHaveLength(100);
    expect([wire.sent.length, wire.maxInFlight]).toEqual([2, 1]);
    service.set({ queued: 13 });
    await pass(0);
    expect(screen.getAllByText('live 13')).toHaveLength(100);
    rerender(<>{many.slice(0, 1)}</>);
    await pass(200);
    expect([wire.inFlight, service.waiters]).toEqual([1, 1]);
    rerender(<></>);
    await pass(0);
    expect([wire.inFlight, service.waiters]).toEqual([0, 0]);
  });

  it('StrictMode mounts twice and asks once', async () => {
    render(
      <StrictMode>
        <View source={apiService()} />
      </StrictMode>,
    );
    await pass(10);
    expect(screen.getByText('live 12')).toBeTruthy();
    expect(wire.sent).toHaveLength(1);
  });

  const makeClient = () => native.createStatusClient({ baseUrl: 'https://status.test/api', getToken: () => 'secret' });
  it.each([
    ['useMemo', () => useMemo(() => makeClient(), [])],
    ['useState', () => useState(makeClient)[0]],
  ])('a client of its own, made by %s and closed in a clean-up, survives StrictMode', async (_, useOwn) => {
    const heard = jest.fn();
    function Screen() {
      const client = useOwn();
      useEffect(() => {
        client.subscribe(heard);
        return () => client.close();
      }, [client]);
      return <View source={client} />;
    }
    const { unmount } = render(
      <StrictMode>
        <Screen />
      </StrictMode>,
    );
    await pass(1000);
    expect(screen.getByText('live 12')).toBeTruthy();
    service.set({ queued: 13 });
    await pass(0);
    expect(screen.getByText('live 13')).toBeTruthy();
    expect(heard).toHaveBeenCalledTimes(2);
    expect(wire.maxInFlight).toBe(1);
    unmount();
    await pass(0);
    expect([appListeners.size, netListeners.size]).toEqual([0, 0]);
  });

  it('follows another source', async () => {
    const other = native.createStatusClient({ baseUrl: 'https://other.test/api', getToken: () => 'secret' });
    const { rerender } = render(<View source={apiService()} />);
    await pass(10);
    rerender(<View source={other} />);
    await pass(10);
    expect(wire.sent.at(-1)?.url).toContain('other.test');
    expect(wire.maxInFlight).toBe(1);
  });

  it.each([
    ['a client', () => native.createStatusClient({ baseUrl: 'https://status.test/api', getToken: () => 'secret' })],
    ['an apiService', apiService],
  ])('follows another case of %s: no number and no version of the former one, and no late answer', async (_, make) => {
    const source = make();
    const seen: string[] = [];
    function CaseView({ caseId }: { caseId?: string }) {
      const { status } = useStorageStatus(source, { caseId });
      seen.push(`${caseId} ${status?.queued ?? '-'}`);
      return null;
    }
    let answer = (): void => undefined;
    for (const [id, queued] of Object.entries({ a: 11, b: 22 })) {
      service.caseOf(id).counts = { queued, input: 0, output: 0 };
    }
    const { rerender } = render(<CaseView caseId="a" />);
    await pass(1000);
    // Held, and answered whatever becomes of its signal.
    wire.fault = ({ url }) =>
      url.includes('/cases/a/')
        ? (request) =>
            new Promise((resolve, reject) => {
              answer = () => service.handle({ ...request, signal: new AbortController().signal }).then(resolve, reject);
            })
        : undefined;
    await act(async () => native.clientOf(source, 'a').refresh());
    await pass(10);
    rerender(<CaseView caseId="b" />);
    service.caseOf('a').set({ queued: 66 });
    const before = wire.sent.length;
    answer();
    await pass(1000);
    const first = wire.sent.slice(before - 1).find(({ url }) => url.includes('/cases/b/'));
    expect(first?.headers).not.toHaveProperty('if-none-match');
    wire.fault = () => undefined;
    rerender(<CaseView caseId="a" />);
    await pass(1000);
    rerender(<CaseView />);
    await pass(1000);
    expect([...new Set(seen)]).toEqual(['a -', 'a 11', 'b -', 'b 22', 'a 66', 'undefined -', 'undefined 12']);
    expect(wire.maxInFlight).toBe(1);
  });
});

describe('the phone', () => {
  it('stops in the background, comes back with the app, says so', async () => {
    render(<native.RealtimeStorageStatus source={apiService()} />);
    await pass(1000);
    expect(screen.getByText('Live Updates')).toBeTruthy();
    await app('inactive');
    expect(wire.inFlight).toBe(1);
    await app('background');
    await pass(600_000);
    expect([wire.inFlight, wire.sent.length]).toEqual([0, 2]);
    expect(screen.getByText('Paused')).toBeTruthy();
    service.set({ queued: 99 });
    await app('active');
    await pass(0);
    expect(screen.getByText('99')).toBeTruthy();
    expect(screen.getByText('Live Updates')).toBeTruthy();
  });

  it.each([
    ['a view before withStorageStatus', () => undefined],
    ['a view after it', native.withStorageStatus],
    ["the core's own withStorageStatus", withCoreStatus],
  ])('stops in the background with %s', async (_, attach) => {
    const source = { baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' };
    attach(source);
    render(<native.RealtimeStorageStatus source={source} />);
    await pass(1000);
    native.withStorageStatus(source);
    expect(wire.inFlight).toBe(1);
    await app('background');
    await pass(60_000);
    expect(wire.inFlight).toBe(0);
    await app('active');
    await net(false, 'none');
    expect(screen.getByText('Offline')).toBeTruthy();
  });

  it('an option of withStorageStatus wins over what the phone says', async () => {
    const source = { baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' };
    native.withStorageStatus(source, { activity: null });
    render(<native.RealtimeStorageStatus source={source} />);
    await app('background');
    await pass(1000);
    expect(wire.inFlight).toBe(1);
  });

  it('stops offline, comes back at once', async () => {
    render(<native.RealtimeStorageStatus source={apiService()} />);
    await net(true, 'wifi');
    await pass(1000);
    await net(false, 'none');
    expect(screen.getByText('Offline')).toBeTruthy();
    const before = wire.sent.length;
    wire.fault = () => 'refuse';
    await pass(600_000);
    expect(wire.sent.length - before).toBe(3); // looks after 1, 2 and 4 minutes
    wire.fault = () => undefined;
    await net(true, 'cellular');
    await pass(0);
    expect(screen.getByText('Live Updates')).toBeTruthy();
  });

  it('the poller keeps to the network as well, and leaves no listener behind', async () => {
    const poller = new native.StorageStatusPoller({ baseUrl: 'status.test', basePath: '/api', accessToken: 'secret' });
    poller.start(() => undefined);
    await pass(10);
    await app('background');
    await pass(60_000);
    expect(wire.sent).toHaveLength(1);
    poller.stop();
    expect([appListeners.size, netListeners.size]).toEqual([0, 0]);
  });
});

describe('the existing app', () => {
  const snippet = (name: string): string => readFileSync(join(__dirname, `../seed/snippets/${name}.js`), 'utf8');
  /** The snippet without its import lines, with `names` in scope instead. */
  const run = (name: string, names: Record<string, unknown>): unknown =>
    new Function(...Object.keys(names), snippet(name).replace(/^import .*$/gm, ''))(...Object.values(names));

  it('its component, character for character, shows the counts and follows them', async () => {
    const Component = loadSeedComponent();
    render(<Component />);
    await pass(1000);
    for (const value of ['12', '3', '85']) expect(screen.getByText(value)).toBeTruthy();
    service.set({ queued: 11, input: 4 });
    await pass(0);
    expect(screen.getByText('11')).toBeTruthy();
    expect(screen.getByText('4')).toBeTruthy();
    expect(wire.maxInFlight).toBe(1);
    expect(wire.sent.length).toBeLessThan(5);
  });

  it('its AppState code stops and starts the added call', async () => {
    const source = loadSeedService();
    let stop = (): void => undefined;
    const startPolling = (): void => {
      stop = source.startLongPolling(() => undefined);
    };
    function Screen() {
      useEffect(startPolling, []);
      run('app-state', { useEffect, AppState, startPolling, stopPolling: () => stop() });
      return null;
    }
    render(<Screen />);
    await pass(1000);
    expect(wire.inFlight).toBe(1);
    await app('background');
    await pass(60_000);
    expect([wire.inFlight, wire.sent.length]).toEqual([0, 2]);
    await app('active');
    await pass(1000);
    expect([wire.inFlight, wire.sent.length]).toEqual([1, 4]);
    screen.unmount();
    stop();
    expect(appListeners.size).toBe(0);
  });

  it('its NetInfo code sets the interval and stops offline', async () => {
    const source = loadSeedService();
    const heard = jest.fn();
    let stop = (): void => undefined;
    const startPolling = (interval: number): void => {
      stop();
      stop = source.startLongPolling(heard, interval);
    };
    run('net-info', { NetInfo, startPolling, stopPolling: () => stop() });
    await net(true, 'wifi');
    await pass(1000);
    expect([wire.inFlight, heard.mock.calls.length]).toEqual([1, 1]);
    await net(true, 'cellular');
    await pass(1000);
    expect(wire.maxInFlight).toBe(1);
    await net(false, 'none');
    const before = wire.sent.length;
    await pass(60_000);
    expect([wire.inFlight, wire.sent.length]).toEqual([0, before]);
  });
});

interface SeedService extends native.ApiService {
  startLongPolling(run: (status: unknown) => void, intervalMs?: number): () => void;
}

const loadSeedService = (): SeedService =>
  (require('../seed/services/ApiService.js') as { default: SeedService }).default;

/** `import apiService from '../services/ApiService'` in the component is the service with the two added lines. */
const loadSeedComponent = (): (() => React.JSX.Element) =>
  (require('../seed/snippets/component.js') as { default: () => React.JSX.Element }).default;
