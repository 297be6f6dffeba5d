import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Evidence } from '../../../src/audit/split-view.ts';
import type { StoredCheckpoint } from '../../../src/audit/stored-entry.ts';
import { countCosignatures } from '../../../src/audit/tree/cosignature.ts';
import { WitnessClient } from '../../../src/audit/witness/client.ts';
import { WitnessPanel, type PanelParts } from '../../../src/audit/witness/panel.ts';
import { notary } from '../memory-log.ts';
import { makeDirectory, until } from '../../service.ts';
import { watchedLog, type WatchedLog } from './watched-log.ts';
import { startWitness, type TestWitness } from './witness-server.ts';

/** The table of checkpoints. */
function memoryStore(): PanelParts['store'] & { readonly notes: Map<number, string> } {
  const notes = new Map<number, string>();
  const at = (size: number): StoredCheckpoint => ({ size, note: notes.get(size)! });
  return {
    notes,
    checkpoint: (size) => (notes.has(size) ? at(size) : undefined),
    cosignedCheckpoints: (limit) =>
      [...notes.keys()]
        .toSorted((a, b) => b - a)
        .map(at)
        .filter(({ note }) => note.split('\n\n')[1]!.trimEnd().includes('\n'))
        .slice(0, limit),
    saveCosigned: ({ size, note }) => void notes.set(size, note),
  };
}

const LONG = 20_000;
let log: WatchedLog;
let store: ReturnType<typeof memoryStore>;
let witnesses: TestWitness[];
let evidence: Evidence[];
let signed: number;
let directory: string;
const panels = new Set<WitnessPanel>();

beforeEach(() => {
  directory = makeDirectory();
  log = watchedLog();
  log.append(5);
  store = memoryStore();
  evidence = [];
  signed = 0;
  witnesses = [];
  return async () => {
    for (const panel of panels) panel.stop();
    panels.clear();
    await Promise.all(witnesses.map(async (witness) => await witness.stop()));
  };
});

async function startWitnesses(count: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    const file = path.join(directory, `w${i}.json`);
    witnesses.push(await startWitness({ name: `witness.test/w${i}`, file, logs: [log.vkey] }));
  }
}

function panelOf(
  quorum: number,
  settings: { mode?: 'async' | 'strict'; timeoutMs?: number } = {},
  of: WatchedLog = log,
): WitnessPanel {
  const sign = async (): Promise<StoredCheckpoint> => {
    signed += 1;
    const checkpoint = of.checkpoint();
    if (!store.notes.has(checkpoint.size)) store.notes.set(checkpoint.size, checkpoint.note);
    return checkpoint;
  };
  const panel = new WitnessPanel(
    { quorum, mode: settings.mode ?? 'async', timeoutMs: settings.timeoutMs ?? LONG },
    {
      clients: witnesses.map(({ vkey, url }) => new WitnessClient({ vkey, url }, of, 2_000)),
      store,
      current: sign,
      splitView: { report: async (found) => void evidence.push(found) },
    },
  );
  panels.add(panel);
  return panel;
}

/** The service signs a checkpoint, and stores it. */
function grow(panel: WitnessPanel, count: number): StoredCheckpoint {
  log.append(count);
  const checkpoint = log.checkpoint();
  store.notes.set(checkpoint.size, checkpoint.note);
  panel.offer(checkpoint);
  return checkpoint;
}

const cosigners = (size: number): string[] => [
  ...countCosignatures(
    store.notes.get(size)!,
    witnesses.map(({ vkey }) => vkey),
  ).names,
];
const held = async (panel: WitnessPanel, size: number): Promise<boolean> =>
  await until(() => panel.held.size >= size, LONG);

describe('k of n witnesses', () => {
  it('hold a checkpoint when k have cosigned it, and all cosignatures are in its note', async () => {
    await startWitnesses(3);
    const panel = panelOf(2);
    const { size } = grow(panel, 1);
    expect(await held(panel, size)).toBe(true);
    expect(await until(() => cosigners(size).length === 3, LONG)).toBe(true);
    expect(panel.members().map((member) => member.size)).toEqual([6, 6, 6]);
    expect(Date.parse(panel.held.time ?? '')).toBeGreaterThan(Date.now() - 60_000);
  });

  it.each(['dead', 'hanging', 'lying'] as const)('do so with one that is %s', async (how) => {
    await startWitnesses(3);
    const last = witnesses[2]!;
    if (how === 'dead') await last.stop();
    if (how === 'hanging') last.misbehave = () => undefined;
    if (how === 'lying') last.misbehave = (_request, response) => void response.end('— w AAAA\n');
    const panel = panelOf(2);
    for (let i = 0; i < 5; i++) {
      const { size } = grow(panel, 3);
      expect(await held(panel, size)).toBe(true);
      expect(cosigners(size).length).toBe(2);
    }
    expect(panel.members()[2]?.problem === undefined).toBe(how === 'hanging');
  });

  it('hold nothing with fewer than k, and catch up when the others are back', async () => {
    await startWitnesses(2);
    await witnesses[1]!.stop();
    const panel = panelOf(2);
    await panel.start(grow(panel, 1));
    const { size } = grow(panel, 4);
    expect(await until(() => panel.members()[0]!.size === size, LONG)).toBe(true);
    expect(panel.held).toEqual({ size: 0 });
    expect(panel.members()[1]).toMatchObject({ size: 0, problem: 'ECONNREFUSED' });
    await witnesses[1]!.start();
    expect(await held(panel, size)).toBe(true);
    expect(panel.members()[1]).toEqual({ name: 'witness.test/w2', size });
  });

  it('come together on one checkpoint while the log grows all the time', async () => {
    await startWitnesses(3);
    witnesses[0]!.delayMs = 20;
    witnesses[1]!.delayMs = 55;
    const panel = panelOf(3);
    const seen = new Set<number>();
    for (let i = 0; i < 150; i++) {
      grow(panel, 1);
      seen.add(panel.held.size);
      await sleep(5);
    }
    expect(seen.size).toBeGreaterThan(3);
    expect(cosigners(panel.held.size)).toHaveLength(3);
  });

  it('are asked one thing at a time, and about the newest', async () => {
    await startWitnesses(1);
    const [witness] = witnesses;
    witness!.delayMs = 30;
    const panel = panelOf(1);
    let last = 0;
    for (let i = 0; i < 100; i++) last = grow(panel, 1).size;
    expect(await held(panel, last)).toBe(true);
    expect(witness!.statuses.length).toBeLessThan(6);
    expect(witness!.atOnce).toBe(1);
  });
});

describe('after a restart', () => {
  it('what was cosigned is known from the stored notes', async () => {
    await startWitnesses(3);
    const first = panelOf(2);
    const { size } = grow(first, 1);
    expect(await held(first, size)).toBe(true);
    await Promise.all(witnesses.map(async (witness) => await witness.stop()));
    grow(first, 1);
    const panel = panelOf(2);
    await panel.start(undefined);
    expect(panel.held).toMatchObject({ size });
  });

  it('nothing is believed that does not verify, or is by others', async () => {
    await startWitnesses(2);
    const first = panelOf(2);
    const { size } = grow(first, 1);
    expect(await held(first, size)).toBe(true);
    const note = store.notes.get(size)!;
    store.notes.set(
      size,
      note.replace(
        /(w2 .{12})./,
        (_, before: string) => `${before}${note.includes(`${before}A`) ? 'B' : 'A'}`,
      ),
    );
    const changed = panelOf(2);
    await changed.start(undefined);
    expect(changed.held).toEqual({ size: 0 });
    store.notes.set(size, note);
    await witnesses[1]!.stop();
    witnesses[1] = await startWitness({
      name: 'witness.test/w2',
      file: path.join(directory, 'w2b.json'),
      logs: [log.vkey],
    });
    const other = panelOf(2);
    await other.start(undefined);
    expect(other.held).toEqual({ size: 0 });
  });

  it('each witness is heard before anything else, the dead ones too', async () => {
    await startWitnesses(2);
    await witnesses[1]!.stop();
    const panel = panelOf(1);
    await panel.start(log.checkpoint());
    expect(panel.members()).toEqual([
      { name: 'witness.test/w1', size: 5 },
      { name: 'witness.test/w2', size: 0, problem: 'ECONNREFUSED' },
    ]);
  });

  it('of a log that was put back, a witness that saw more is heard first', async () => {
    await startWitnesses(1);
    const first = panelOf(1);
    expect(await held(first, grow(first, 20).size)).toBe(true);
    log.cut(8);
    store.notes.clear();
    const panel = panelOf(1);
    await panel.start(log.checkpoint());
    expect(evidence).toMatchObject([{ source: 'witness witness.test/w1', size: 25 }]);
    expect(panel.held).toEqual({ size: 0 });
  });

  it('a witness that saw the newest checkpoint before it was stored gets it anew', async () => {
    await startWitnesses(1);
    await new WitnessClient(witnesses[0]!, log).cosign(log.checkpoint());
    const panel = panelOf(1);
    await panel.start(log.checkpoint(3));
    expect(await held(panel, 5)).toBe(true);
    expect(evidence).toEqual([]);
  });
});

it('two logs of one key are noticed by whoever comes second', async () => {
  await startWitnesses(1);
  const by = notary('log.test/twin');
  const twins = [watchedLog('', by), watchedLog('', by)] as const;
  witnesses[0]!.trust(by.vkey);
  twins[0].append(10);
  twins[1].append(4);
  twins[1].append(20, 'other');
  const [one, two] = twins.map((twin) => panelOf(1, {}, twin));
  await one!.start(twins[0].checkpoint());
  expect(evidence).toEqual([]);
  store.notes.clear();
  await two!.start(twins[1].checkpoint());
  expect(evidence).toMatchObject([{ size: 10, message: expect.stringContaining('another history') }]);
  expect(two!.held.size).toBe(0);
});

it('a cosignature that cannot be stored does not count', async () => {
  await startWitnesses(1);
  store.saveCosigned = () => {
    throw new Error('the disk is full');
  };
  const panel = panelOf(1);
  await panel.start(log.checkpoint());
  expect(panel.held.size).toBe(0);
  expect(panel.members()[0]?.problem).toBe('the disk is full');
});

async function coveredByBoth(panel: WitnessPanel, index: number): Promise<void> {
  await panel.covered(index);
  expect(panel.held.size).toBeGreaterThan(index);
  expect(witnesses.every((witness) => witness.size() > index)).toBe(true);
}

describe('what is to be covered', () => {
  it('is covered at once where nothing waits for witnesses', async () => {
    await startWitnesses(1);
    await witnesses[0]!.stop();
    const panel = panelOf(1);
    await panel.covered(4);
    expect(panel.isCovered(4)).toBe(true);
    expect(panel.hindrance).toBeUndefined();
  });

  it('is signed for and sent at once, many together', async () => {
    await startWitnesses(2);
    witnesses[0]!.delayMs = 20;
    const panel = panelOf(2, { mode: 'strict' });
    const waiting: Promise<void>[] = [];
    for (let i = 0; i < 60; i++) {
      log.append(1);
      const index = log.size() - 1;
      expect(panel.isCovered(index)).toBe(false);
      waiting.push(coveredByBoth(panel, index));
      if (i % 10 === 0) await sleep(2);
    }
    await Promise.all(waiting);
    expect(signed).toBeLessThan(20);
  });

  it('is refused when it takes too long, and nothing more is begun until it is covered', async () => {
    await startWitnesses(2);
    await witnesses[1]!.stop();
    const panel = panelOf(2, { mode: 'strict', timeoutMs: 200 });
    await expect(panel.covered(4)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('repeat the request with the same Idempotency-Key'),
    });
    expect(panel.hindrance).toContain('fewer than the 2 witnesses');
    expect(panel.hindrance).toContain('witness.test/w2: ECONNREFUSED');
    await witnesses[1]!.start();
    expect(await until(() => panel.isCovered(4), LONG)).toBe(true);
    expect(panel.hindrance).toBeUndefined();
    await panel.covered(4);
  });

  it('is not covered by one witness twice', async () => {
    await startWitnesses(2);
    await witnesses[1]!.stop();
    const panel = panelOf(2, { mode: 'strict', timeoutMs: 300 });
    const asked = panel.covered(4);
    await sleep(50);
    grow(panel, 1);
    await expect(asked).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('whoever asks for a checkpoint', () => {
  it('gets it with its cosignatures', async () => {
    await startWitnesses(2);
    const panel = panelOf(2);
    const { note } = await panel.settled(grow(panel, 1), LONG);
    expect(
      countCosignatures(
        note,
        witnesses.map(({ vkey }) => vkey),
      ).count,
    ).toBe(2);
  });

  it('gets it without, where they do not come', async () => {
    await startWitnesses(2);
    const panel = panelOf(2);
    witnesses[1]!.misbehave = () => undefined;
    const { note } = await panel.settled(grow(panel, 1), 100);
    expect(countCosignatures(note, [witnesses[1]!.vkey]).count).toBe(0);
  });
});
