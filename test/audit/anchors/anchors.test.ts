import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Anchor } from '../../../src/audit/anchors/anchor.ts';
import { Anchors } from '../../../src/audit/anchors/anchors.ts';
import { directoryAnchor } from '../../../src/audit/anchors/directory.ts';
import { fileAnchor } from '../../../src/audit/anchors/file.ts';
import type { Evidence } from '../../../src/audit/split-view.ts';
import type { StoredCheckpoint } from '../../../src/audit/stored-entry.ts';
import { makeDirectory, until } from '../../service.ts';
import { watchedLog, type WatchedLog } from '../witness/watched-log.ts';

const LONG = 10_000;
const ORIGIN = 'log.test/one';
let log: WatchedLog;
let directory: string;
let evidence: Evidence[];
let acknowledged: boolean;
let newest: StoredCheckpoint | undefined;
const made = new Set<Anchors>();

beforeEach(() => {
  directory = makeDirectory();
  log = watchedLog(ORIGIN);
  log.append(5);
  evidence = [];
  acknowledged = false;
  newest = log.checkpoint();
  return async () => {
    await Promise.all([...made].map(async (each) => await each.stop(1_000)));
    made.clear();
  };
});

function anchorsOf(...anchors: Anchor[]): Anchors {
  const all = new Anchors({
    anchors,
    everySeconds: 1,
    reads: { latestCheckpoint: () => newest },
    own: { origin: ORIGIN, history: log },
    splitView: {
      report: async (found) => void evidence.push(found),
      standing: () =>
        acknowledged ? [] : evidence.map((each) => ({ ...each, time: '', acknowledged: false })),
    },
  });
  made.add(all);
  return all;
}

const inFile = (): Anchor => fileAnchor('file', path.join(directory, 'file.jsonl'));
const inDirectory = (): Anchor => directoryAnchor('dir', directory);
const sizeOf = (anchors: Anchors): number => anchors.status()[0]!.size;
const reached = async (anchors: Anchors, size: number): Promise<boolean> =>
  await until(() => sizeOf(anchors) === size, LONG);

describe.each([
  ['a file', inFile],
  ['a directory', inDirectory],
])('checkpoints in %s', (_what, anchor) => {
  it('are kept as they come, and at the stop', async () => {
    const anchors = anchorsOf(anchor());
    await anchors.start();
    expect(await reached(anchors, 5)).toBe(true);
    log.append(3);
    newest = log.checkpoint();
    expect(await reached(anchors, 8)).toBe(true);
    log.append(1);
    newest = log.checkpoint();
    await anchors.stop(LONG);
    expect(await anchor().newest?.()).toBe(newest.note);
  });

  it('are known after a restart, and not kept twice', async () => {
    const first = anchorsOf(anchor());
    await first.start();
    expect(await reached(first, 5)).toBe(true);
    await first.stop(LONG);
    const published: number[] = [];
    const second = anchorsOf({
      ...anchor(),
      publish: async ({ size }) => {
        published.push(size);
        return undefined;
      },
    });
    await second.start();
    expect(second.status()).toEqual([{ name: expect.any(String), size: 5 }]);
    log.append(2);
    newest = log.checkpoint();
    expect(await until(() => published.length > 0, LONG)).toBe(true);
    expect(published).toEqual([7]);
  });

  const before = async (size: number): Promise<void> => {
    log.append(size - log.size());
    await anchor().publish(log.checkpoint());
  };

  it.each([
    ['an older database', (): void => log.cut(8), 'the log has 8'],
    [
      'one that went on',
      (): void => (log.cut(8), log.append(40, 'other')),
      'have another: entries were changed',
    ],
    [
      'one of the same size',
      (): void => (log.cut(19), log.append(1, 'other')),
      'have another: entries were changed',
    ],
  ])('tell of %s that was put back', async (_how, change, message) => {
    await before(20);
    change();
    newest = log.checkpoint();
    const anchors = anchorsOf(anchor());
    await anchors.start();
    expect(evidence).toMatchObject([{ size: 20, message: expect.stringContaining(message) }]);
    expect(evidence[0]?.source).toMatch(/^anchor (?:file|dir)$/);
    // What tells the two apart stays the newest that is kept, until somebody has looked.
    await anchors.stop(LONG);
    const kept = await anchor().newest?.();
    expect(kept?.split('\n')[1]).toBe('20');
  });

  it('tell of another log in its place', async () => {
    const other = watchedLog('log.test/other');
    other.append(2);
    await anchor().publish(other.checkpoint());
    await anchorsOf(anchor()).start();
    expect(evidence).toMatchObject([{ message: expect.stringContaining('another log (log.test/other)') }]);
  });

  it('go on when it was acknowledged', async () => {
    await before(20);
    log.cut(8);
    newest = log.checkpoint();
    const anchors = anchorsOf(anchor());
    await anchors.start();
    expect(evidence).toHaveLength(1);
    acknowledged = true;
    expect(await reached(anchors, 8)).toBe(true);
  });
});

it('a checkpoint that something else is kept in place of is evidence', async () => {
  const other = watchedLog(ORIGIN);
  other.append(5, 'other');
  const { note } = other.checkpoint();
  const anchors = anchorsOf({ name: 'bucket', publish: async () => note });
  await anchors.start();
  expect(await until(() => evidence.length > 0, LONG)).toBe(true);
  expect(evidence).toMatchObject([{ source: 'anchor bucket', size: 5 }]);
  expect(sizeOf(anchors)).toBe(0);
});

it('the same checkpoint in its place, with other cosignatures, is none', async () => {
  const anchors = anchorsOf({
    name: 'bucket',
    publish: async ({ note }) => `${note}— w.test ${Buffer.alloc(76).toString('base64')}\n`,
  });
  await anchors.start();
  expect(await reached(anchors, 5)).toBe(true);
  expect(evidence).toEqual([]);
});

describe('a place that fails', () => {
  it('is tried again, is seen, and holds nothing up', async () => {
    let fails = 2;
    const anchors = anchorsOf(
      {
        name: 'bad',
        publish: async () => {
          if (fails-- > 0) throw new Error('HTTP 503');
          return undefined;
        },
      },
      inFile(),
    );
    await anchors.start();
    expect(await until(() => anchors.status()[0]!.problem === 'HTTP 503', LONG)).toBe(true);
    expect(await until(() => anchors.status()[1]!.size === 5, LONG)).toBe(true);
    expect(await reached(anchors, 5)).toBe(true);
    expect(anchors.status()[0]).not.toHaveProperty('problem');
  });

  it('hangs, and neither a start nor a stop waits for it for long', async () => {
    const never = new Promise<never>(() => undefined);
    const anchors = anchorsOf({ name: 'nfs', publish: () => never, newest: () => never });
    await anchors.start();
    expect(anchors.status()[0]?.problem).toContain('cannot be read');
    await anchors.stop(100);
  });

  it('cannot be read, and that is no evidence', async () => {
    writeFileSync(path.join(directory, 'file.jsonl'), 'no line of ours\n');
    const anchors = anchorsOf(inFile());
    await anchors.start();
    expect(anchors.status()[0]?.problem).toBe(
      'what is kept there cannot be read: no checkpoint can be read at its end',
    );
    expect(evidence).toEqual([]);
    expect(await reached(anchors, 5)).toBe(true);
  });
});
