import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toPlain } from '../../../src/audit/projections/plain.ts';
import { Feed, type FeedParts } from '../../../src/audit/sinks/feed.ts';
import { NotTaken, type Batch, type Sink } from '../../../src/audit/sinks/sink.ts';
import { fedLog, until, type FedLog } from './fed-log.ts';

let fed: FedLog;
let feed: Feed | undefined;
let batches: Batch[];
let underWay: number;
let most: number;

beforeEach(() => {
  fed = fedLog();
  batches = [];
  underWay = 0;
  most = 0;
});
afterEach(async () => {
  await feed?.stop(0);
  fed.storage.close();
  fed.remove();
});

/** Counts what is under way at once. */
function sinkThat(deliver: (batch: Batch, signal: AbortSignal) => Promise<void>): Sink {
  return {
    deliver: async (batch, signal) => {
      batches.push(batch);
      most = Math.max(most, ++underWay);
      try {
        await deliver(batch, signal);
      } finally {
        underWay--;
      }
    },
    reload: () => undefined,
    close: async () => undefined,
  };
}

function start(sink: Sink, over: Partial<FeedParts> = {}): Feed {
  feed = new Feed(
    {
      sink,
      project: toPlain,
      log: fed.log,
      reads: fed.storage.reads,
      pace: { firstMs: 1, mostMs: 2 },
      gather: { ms: 1, entries: Infinity },
      onDelivered: () => undefined,
      onPassed: () => undefined,
      onFailed: () => undefined,
      ...over,
    },
    0,
  );
  feed.start();
  return feed;
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

describe('a feed', () => {
  it('has one bounded batch under way, by count and by bytes, whatever waits', async () => {
    const long = {
      kind: 'access.forbidden',
      outcome: 'denied',
      detail: { reason: 'x'.repeat(60_000) },
    } as const;
    await Promise.all(Array.from({ length: 30 }, () => fed.log.record(long, () => undefined)));
    await fed.append(1_000);
    const of = start(sinkThat(turn));
    await until(() => of.lag.entries === 0);
    expect(most).toBe(1);
    for (const { entries, lines } of batches) {
      expect(entries.length).toBeLessThanOrEqual(200);
      expect(lines.slice(0, -1).join('').length).toBeLessThan(256 * 1024);
      expect(lines).toHaveLength(entries.length);
    }
    expect(batches.flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual(
      Array.from({ length: 1_030 }, (_, i) => i),
    );
  });

  it('tries the same batch again under the same id, with what came meanwhile after it', async () => {
    await fed.append(3);
    let failures = 0;
    const of = start(
      sinkThat(async () => {
        await fed.append(1);
        if (failures++ < 4) throw new Error('not now');
      }),
    );
    await until(() => of.state.next >= 3);
    expect(new Set(batches.slice(0, 5).map(({ id }) => id)).size).toBe(1);
    expect(batches[4]?.entries).toHaveLength(3);
    expect(batches[0]?.id).toMatch(/^msg_[0-9a-f]{32}$/);
    expect(of.state).toMatchObject({ failures: 4, lastError: { reason: 'not now' } });
    expect(of.problem).toBeUndefined();
  });

  it('has ids that are those of their entries, after a restart too', async () => {
    await fed.append(5);
    const of = start(sinkThat(turn));
    await until(() => of.lag.entries === 0);
    await of.stop(100);
    const again = start(sinkThat(turn));
    await until(() => again.lag.entries === 0);
    expect(batches.map(({ id }) => id)).toEqual([batches[0]?.id, batches[0]?.id]);
  });

  it('waits as long as it is asked to, and not for what it is told at a reload', async () => {
    await fed.append(1);
    let asked = 0;
    const of = start(
      sinkThat(async () => {
        if (asked++ === 0) throw new NotTaken('HTTP 429', 3_600_000);
      }),
    );
    await until(() => of.state.state === 'retrying');
    await fed.append(1);
    of.notify();
    for (let i = 0; i < 20; i++) await turn();
    expect(asked).toBe(1);
    of.reload();
    await until(() => of.lag.entries === 0);
  });

  it('says how old the oldest entry is that it has not delivered', async () => {
    await fed.append(1);
    const of = start(sinkThat(() => new Promise(() => undefined)));
    const before = of.lag.seconds;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(of.lag.entries).toBe(1);
    expect(of.lag.seconds).toBeGreaterThan(before + 0.05);
    await of.stop(0);
  });

  it('stops when its time is over, also when what it waits for never ends', async () => {
    await fed.append(1);
    const of = start(sinkThat(() => new Promise(() => undefined)));
    await until(() => underWay === 1);
    await of.stop(10);
    expect(of.state.next).toBe(0);
  });

  it('delivers the rest before it stops, and does not go on failing', async () => {
    const of = start(sinkThat(turn), { gather: { ms: 3_600_000, entries: Infinity } });
    await fed.append(1);
    of.notify();
    await until(() => of.lag.entries === 0);
    await fed.append(450);
    await of.stop(10_000);
    expect(of.lag.entries).toBe(0);

    const failing = start(
      sinkThat(() => Promise.reject(new Error('no'))),
      {
        pace: { firstMs: 3_600_000, mostMs: 3_600_000 },
      },
    );
    await until(() => failing.state.state === 'retrying');
    await failing.stop(3_600_000);
    expect(failing.state.failures).toBeLessThanOrEqual(2);
  });

  it('goes ahead at once when as many wait as it may not lag far behind', async () => {
    const of = start(sinkThat(turn), { gather: { ms: 3_600_000, entries: 5 } });
    await fed.append(1);
    of.notify();
    await until(() => of.lag.entries === 0);
    await fed.append(4);
    of.notify();
    for (let i = 0; i < 20; i++) await turn();
    expect(of.lag.entries).toBe(4);
    await fed.append(1);
    of.notify();
    await until(() => of.lag.entries === 0);
  });

  it('fails, and goes on failing, when an entry is missing: it leaves none out', async () => {
    await fed.append(3);
    const reads = {
      ...fed.storage.reads,
      entries: (query: Parameters<typeof fed.storage.reads.entries>[0]) =>
        fed.storage.reads.entries(query).filter(({ index }) => index !== 1),
    };
    const of = start(sinkThat(turn), { reads });
    await until(() => of.state.failures > 3);
    expect(of.problem).toBe('entry 1 is not in the log');
    expect(batches).toEqual([]);
  });
});

describe('a feed of some kinds', () => {
  const KINDS = ['key.created', 'key.state_changed'];
  const wanted = (kind: 'key.created' | 'key.state_changed'): Promise<unknown> =>
    fed.log.record({ kind, outcome: 'done' }, () => undefined);
  const delivered = (): number[] => batches.flatMap(({ entries }) => entries.map(({ index }) => index));

  it('delivers those and passes over the others, in order, with nothing left behind', async () => {
    const indexes: number[] = [];
    for (const [kind, before] of [
      ['key.created', 0],
      ['key.state_changed', 70],
      ['key.created', 1],
      ['key.created', 7_000],
    ] as const) {
      await fed.append(before);
      indexes.push(fed.log.size);
      await wanted(kind);
    }
    await fed.append(30);
    const passed: number[] = [];
    const of = start(sinkThat(turn), { kinds: KINDS, onPassed: (next) => passed.push(next) });
    await until(() => of.lag.entries === 0);
    expect(delivered()).toEqual(indexes);
    expect(of.state).toMatchObject({ state: 'waiting', next: fed.log.size });
    // Windows without any of them are over one by one, so that others have their turn.
    expect(passed.length).toBeGreaterThan(1);
    expect(passed).toEqual(passed.toSorted((a, b) => a - b));
  });

  it('tries again what it has, and passes over nothing that it has not delivered', async () => {
    await wanted('key.created');
    await fed.append(10);
    let isDown = true;
    const of = start(
      sinkThat(async () => {
        if (isDown) throw new Error('not now');
      }),
      { kinds: KINDS },
    );
    await until(() => of.state.failures > 2);
    expect(of.state.next).toBe(0);
    await wanted('key.state_changed');
    isDown = false;
    await until(() => of.lag.entries === 0);
    expect([...new Set(delivered())]).toEqual([0, 11]);
  });

  it('does not wait for the sink where there is nothing for it', async () => {
    await fed.append(3);
    const of = start(
      sinkThat(() => Promise.reject(new Error('down'))),
      { kinds: KINDS },
    );
    await until(() => of.lag.entries === 0);
    expect(of.state).toMatchObject({ state: 'waiting', next: 3, failures: 0 });
    expect(batches).toEqual([]);
  });

  it('has bounded batches', async () => {
    await Promise.all(Array.from({ length: 450 }, () => wanted('key.created')));
    const of = start(sinkThat(turn), { kinds: KINDS });
    await until(() => of.lag.entries === 0);
    expect(batches.map(({ entries }) => entries.length)).toEqual([200, 200, 50]);
  });
});
