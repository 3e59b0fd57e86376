/** What time makes of a connection: the indicator's words, since when, what is stuck, and what need not blink. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { StatusError } from '../../src/errors.js';
import type { StatusSnapshot } from '../../src/types.js';
import { createView } from '../../src/ui/use-shown.js';
import { createRig } from '../support/rig.js';
import { type Moment, type Observation, observe, present, type Shown } from '../../src/ui/observation.js';

const MINUTE = 60_000;
const network = new StatusError('network', 'gone');
const rejected = new StatusError('rejected', 'Check baseUrl and versions.', undefined, 400);
const notReady = new StatusError('http', 'No status (503).', undefined, 503, null, 'counts-not-ready');
/** 15:56:10 here, wherever this runs; the server's clock is a day behind. */
const START = new Date(2026, 10, 22, 15, 56, 10).getTime();
const counts = (queued: number, processing = 3) => ({
  queued,
  processing,
  completed: 85,
  timestamp: '2026-11-21T03:00:00.000Z',
});

/** A client and a device with two clocks, looked at by one legend. */
class Device {
  private now: Moment = { steadyMs: 5_000, wallMs: START };
  private seen: Observation | null = null;
  private snapshot: StatusSnapshot = {
    status: null,
    state: 'stopped',
    reason: 'idle',
    error: null,
    transport: 'long-poll',
  };

  constructor(private readonly stuckAfterMs: number | null = 10 * MINUTE) {}

  show(change: Partial<StatusSnapshot>, answerAgeMs?: number): Shown {
    this.snapshot = { ...this.snapshot, reason: null, error: null, ...change };
    this.seen = observe(this.seen, this.snapshot, this.now, answerAgeMs);
    return this.look();
  }

  look(): Shown {
    if (!this.seen) throw new Error('Nothing to see.');
    return present(this.seen, this.now, this.stuckAfterMs).shown;
  }

  changesInMs(): number | null {
    return this.seen && present(this.seen, this.now, this.stuckAfterMs).changesInMs;
  }

  pass(ms: number, wallMs = ms): this {
    this.now = { steadyMs: this.now.steadyMs + ms, wallMs: this.now.wallMs + wallMs };
    return this;
  }
}

const live = (queued = 12, processing = 3) => ({ state: 'live', status: counts(queued, processing) }) as const;

describe('the words are true', () => {
  it.each<[string, Partial<StatusSnapshot>, Partial<Shown>]>([
    ['the first frame, and on a server', { state: 'stopped', reason: 'idle' }, { indicator: 'connecting' }],
    ['started', { state: 'connecting' }, { indicator: 'connecting', isTrouble: false }],
    ['never reached', { state: 'connecting', error: network }, { indicator: 'connecting', isTrouble: true }],
    ['nothing counted yet', { state: 'connecting', error: notReady }, { indicator: 'notReady', isTrouble: true }],
    ['live', live(), { indicator: 'live', isTrouble: false }],
    ['lost', { ...live(), state: 'stale', error: network }, { indicator: 'stale', isTrouble: true }],
    ['counted anew', { ...live(), state: 'stale', error: notReady }, { indicator: 'notReady', isTrouble: true }],
    ['offline', { ...live(), state: 'offline' }, { indicator: 'offline', isTrouble: false }],
    ['offline before it was ready', { state: 'offline', error: notReady }, { indicator: 'offline' }],
    ['away', { ...live(), state: 'stopped', reason: 'background' }, { indicator: 'paused' }],
    ['closed', { ...live(), state: 'stopped', reason: 'closed' }, { indicator: 'paused' }],
    ['signed out', { state: 'stopped', reason: 'unauthorized', error: network }, { indicator: 'unauthorized' }],
    ['refused', { state: 'connecting', error: rejected }, { indicator: 'rejected' }],
    ['refused with numbers', { ...live(), state: 'stale', error: rejected }, { indicator: 'rejected' }],
    ['stopped for a new reason', { state: 'stopped', reason: 'new' as never }, { indicator: 'paused' }],
  ])('%s', (_, snapshot, shown) => {
    expect(new Device().show(snapshot)).toMatchObject(shown);
  });
});

describe('since when', () => {
  it('is when the last answer came, not when the failure was noticed, and not what the server says', () => {
    const device = new Device();
    device.show(live());
    device.pass(10 * MINUTE); // answered all the while
    expect(device.show({ state: 'stale', error: network }, 29_000)).toMatchObject({ asOf: '16:05' });
    device.pass(5 * MINUTE);
    expect(device.show({ state: 'stale', error: network }, 29_000 + 5 * MINUTE)).toMatchObject({ asOf: '16:05' });
    expect(device.pass(30 * MINUTE).show({ state: 'offline' })).toMatchObject({ asOf: '16:05' });
    expect(device.show(live())).toMatchObject({ asOf: null });
  });

  it('is known to a legend that was not there', () => {
    const device = new Device();
    expect(device.show({ state: 'stale', status: counts(1), error: network }, 20 * MINUTE)).toMatchObject({
      asOf: '15:36',
    });
  });

  it.each([
    ['a phone slept, and its steady clock with it', 0, 3 * 60 * MINUTE, '15:56'],
    ["somebody set the phone's clock back", 10 * MINUTE, -60 * MINUTE, '14:46'],
    ['the same time passed on both', 10 * MINUTE, 10 * MINUTE, '15:56'],
  ])('numbers do not get younger when %s', (_, steadyMs, wallMs, asOf) => {
    const device = new Device();
    device.show(live());
    device.show({ state: 'stale', error: network }, 0);
    expect(device.pass(steadyMs, wallMs).look()).toMatchObject({ asOf });
  });

  it('has the date when that was another day', () => {
    const device = new Device();
    device.show(live());
    device.show({ state: 'offline' }, 0);
    expect(device.pass(24 * 60 * MINUTE).look()).toMatchObject({ asOf: '2026-11-22 15:56' });
  });

  it('is not said of numbers that are not there', () => {
    const device = new Device();
    device.show(live());
    expect(device.show({ state: 'connecting', status: null, error: network })).toMatchObject({ asOf: null });
  });
});

describe('stuck', () => {
  it('after ten minutes without a change while images are in process, minute by minute', () => {
    const device = new Device();
    device.show(live());
    expect(device.changesInMs()).toBe(10 * MINUTE);
    expect(device.pass(10 * MINUTE - 1).look()).toMatchObject({ stuckMinutes: null, isTrouble: false });
    expect(device.pass(1).look()).toMatchObject({ stuckMinutes: 10, isTrouble: true, indicator: 'live' });
    expect(device.changesInMs()).toBe(MINUTE);
    expect(device.pass(90_000).look()).toMatchObject({ stuckMinutes: 11 });
    expect(device.changesInMs()).toBe(30_000);
    expect(device.show(live(11))).toMatchObject({ stuckMinutes: null, isTrouble: false });
  });

  it.each<[string, number | null, (device: Device) => void]>([
    ['nothing is in process', 10 * MINUTE, (device) => device.show(live(12, 0))],
    ['nobody wants to know', null, (device) => device.show(live())],
    [
      'the connection is lost, which says more',
      10 * MINUTE,
      (device) => {
        device.show(live());
        device.show({ state: 'stale', error: network });
      },
    ],
    [
      'a number moved meanwhile',
      10 * MINUTE,
      (device) => {
        device.show(live());
        device.pass(5 * MINUTE).show(live(13));
        device.pass(-5 * MINUTE);
      },
    ],
  ])('not when %s', (_, stuckAfterMs, run) => {
    const device = new Device(stuckAfterMs);
    run(device);
    expect(device.pass(14 * MINUTE).look()).toMatchObject({ stuckMinutes: null });
  });

  it('a further count that moves, comes or goes is progress', () => {
    const device = new Device();
    const withExtra = (extra?: Record<string, number>) =>
      device.show({ state: 'live', status: { ...counts(12), ...(extra && { extra }) } });
    for (const extra of [{ failed: 1 }, { failed: 2 }, { failed: 2, review: 0 }, { review: 0, failed: 2 }, undefined]) {
      device.pass(4 * MINUTE);
      withExtra(extra);
      expect(device.changesInMs()).toBe(extra && Object.keys(extra)[0] === 'review' ? 6 * MINUTE : 10 * MINUTE);
    }
  });

  it('a time that is told anew, a lost connection or a pause is no progress', () => {
    const device = new Device();
    device.show(live());
    device.pass(4 * MINUTE).show({ state: 'stale', error: network });
    device.pass(4 * MINUTE).show({ state: 'live', status: { ...counts(12), timestamp: 'later' } });
    device.show({ state: 'stopped', reason: 'background' });
    device.pass(4 * MINUTE).show({ state: 'connecting' });
    expect(device.show(live())).toMatchObject({ stuckMinutes: 12 });
  });

  it("not when somebody sets the phone's clock", () => {
    const device = new Device();
    device.show(live());
    expect(device.pass(1000, 60 * MINUTE).look()).toMatchObject({ stuckMinutes: null });
  });
});

describe('coming back does not blink', () => {
  const away = { state: 'stopped', reason: 'background' } as const;

  it('a moment away: as live as before, until a second is over', () => {
    const device = new Device();
    device.show(live());
    expect(device.pass(1000).show(away, 1000)).toMatchObject({ indicator: 'paused' });
    expect(device.pass(5000).show({ state: 'connecting' })).toMatchObject({ indicator: 'live', asOf: null });
    expect(device.changesInMs()).toBe(1000);
    expect(device.pass(999).look()).toMatchObject({ indicator: 'live' });
    expect(device.pass(1).look()).toMatchObject({ indicator: 'connecting', asOf: '15:56' });
    expect(device.show(live())).toMatchObject({ indicator: 'live' });
  });

  it('longer: paused until the answer, or until a second is over', () => {
    const device = new Device();
    device.show(live());
    device.show(away, 29_000);
    device.pass(1_000);
    expect(device.show({ state: 'connecting' })).toMatchObject({ indicator: 'paused' });
    expect(device.pass(1000).look()).toMatchObject({ indicator: 'connecting' });
  });

  it('another network: as live as before', () => {
    const device = new Device();
    device.show(live());
    expect(device.show({ state: 'connecting' }, 10_000)).toMatchObject({ indicator: 'live' });
  });

  it.each<[string, Partial<StatusSnapshot>[], Shown['indicator']]>([
    ['was lost before it was away', [{ state: 'stale', error: network }, away], 'paused'],
    ['was lost', [{ state: 'stale', error: network }], 'connecting'],
    ['was offline', [{ state: 'offline' }], 'connecting'],
    ['was refused', [{ state: 'stale', error: rejected }], 'connecting'],
    ['waited for a token', [{ state: 'stopped', reason: 'unauthorized', error: network }], 'connecting'],
  ])('but never as live what %s', (_, steps, indicator) => {
    const device = new Device();
    device.show(live());
    for (const step of steps) device.pass(1000).show(step, 1000);
    expect(device.pass(1000).show({ state: 'connecting' })).toMatchObject({ indicator });
  });

  it('numbers that were cleared, and a failure since, are not live', () => {
    const device = new Device();
    device.show(live());
    expect(device.show({ state: 'connecting', status: null, error: network }, 0)).toMatchObject({
      indicator: 'connecting',
      isTrouble: true,
    });
  });

  it('numbers of another account, which are gone, are not live either', () => {
    const device = new Device();
    device.show(live());
    expect(device.show({ state: 'connecting', status: null }, 0)).toMatchObject({
      indicator: 'connecting',
      asOf: null,
    });
  });

  it('a failure is shown at once', () => {
    const device = new Device();
    device.show(live());
    device.show(away, 0);
    device.show({ state: 'connecting' });
    expect(device.pass(10).show({ state: 'stale', error: network })).toMatchObject({ indicator: 'stale' });
  });

  it('the very first connection says that it is one', () => {
    const device = new Device();
    device.show({ state: 'stopped', reason: 'idle' });
    expect(device.show({ state: 'connecting' })).toMatchObject({ indicator: 'connecting' });
    expect(device.changesInMs()).toBeNull();
  });
});

describe('a view of a client', () => {
  afterEach(() => vi.useRealTimers());

  it('tells what becomes of a snapshot by itself, and leaves no timer behind', async () => {
    const { client, service, start } = createRig();
    service.set({ input: 3 });
    const stop = await start();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] });
    const view = createView(client, 10 * MINUTE);
    const onChange = vi.fn();
    const unwatch = view.watch(onChange);
    const before = view.getSnapshot();
    expect(before).toMatchObject({ indicator: 'live', stuckMinutes: null });
    expect(view.getSnapshot()).toBe(before);
    onChange.mockClear();
    vi.advanceTimersByTime(10 * MINUTE);
    expect(onChange).toHaveBeenCalledTimes(1);
    expect(view.getSnapshot()).toMatchObject({ stuckMinutes: 10 });
    unwatch();
    expect(vi.getTimerCount()).toBe(0);
    stop();
  });
});
