import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { isExportable, termOf } from '../../src/keystore/envelope.ts';
import type { RewrapJob } from '../../src/signer/rewrap.ts';
import type { RootKeyLimits } from '../../src/signer/root-key.ts';
import { sealedService, type SealedService } from './sealed-service.ts';

const DAY = 24 * 60 * 60 * 1000;
/** More than a page. */
const KEYS = 150;

let service: SealedService | undefined;
afterEach(async () => {
  await service?.end();
  service = undefined;
});

async function withKeys(count: number, limits?: RootKeyLimits): Promise<SealedService> {
  const made = await sealedService(limits);
  service = made;
  await made.seal.initialize(made.act, { type: 'file' });
  for (let index = 0; index < count; index += 1)
    await made.keys.create(made.act, { name: `key-${index}`, tags: [] });
  return made;
}

async function finished({ rewrap }: SealedService): Promise<RewrapJob> {
  for (;;) {
    const job = rewrap.status();
    if (job?.state === 'done') return job;
    await sleep(5);
  }
}

function terms({ storage }: SealedService): number[] {
  const found = storage.reads.keys().map(({ id }) => termOf(storage.reads.sealedKey(id, 1)));
  return [...new Set([...found, termOf(storage.reads.logKey()!.sealed)])];
}

describe('moving what is sealed to the newest term', () => {
  it('moves every key and the key of the log, page by page', async () => {
    const running = await withKeys(KEYS);
    await running.rootKey.rotate(running.act);
    expect(running.rootKey.status()).toMatchObject({ term: 2, oldTermKeys: KEYS + 1 });
    await running.rewrap.start(running.act, () => ({}));
    expect(await finished(running)).toMatchObject({ total: KEYS + 1, done: KEYS + 1, failed: 0, term: 2 });
    expect(terms(running)).toEqual([2]);
    expect(running.rootKey.status()?.oldTermKeys).toBe(0);
    expect(await running.allSign()).toBe(KEYS);
    expect(running.kinds('seal.rewrap')).toEqual([
      'seal.rewrap_started',
      'seal.rewrap_progressed',
      'seal.rewrap_progressed',
      'seal.rewrap_progressed',
      'seal.rewrapped',
    ]);
  });

  it('has nothing to do, and says so, where all is under the newest term', async () => {
    const running = await withKeys(1);
    await running.rewrap.start(running.act, () => ({}));
    expect(await finished(running)).toMatchObject({ total: 0, done: 0 });
  });

  it('is interrupted by a sealing, refused a second time, and goes on by itself', async () => {
    const running = await withKeys(KEYS);
    await running.rootKey.rotate(running.act);
    const begun = Promise.withResolvers<void>();
    running.onCommit((kind) => {
      if (kind === 'seal.rewrap_progressed') begun.resolve(running.custody.seal());
    });
    await running.rewrap.start(running.act, () => ({}));
    await begun.promise;
    await expect(running.rewrap.start(running.act, () => ({}))).rejects.toMatchObject({ code: 'sealed' });
    await sleep(50);
    const half = running.rewrap.status()!;
    expect(half).toMatchObject({ state: 'running', total: KEYS + 1 });
    expect(half.done).toBeLessThan(KEYS);
    running.onCommit(undefined);
    await running.seal.unseal(running.act);
    expect(await finished(running)).toMatchObject({ done: KEYS + 1, failed: 0 });
    expect(terms(running)).toEqual([2]);
  });

  it('goes on after a restart, and after the loss of the signer process', async () => {
    const running = await withKeys(KEYS);
    await running.rootKey.rotate(running.act);
    let killed = false;
    running.onCommit((kind) => {
      if (kind !== 'seal.rewrap_progressed' || killed) return;
      killed = true;
      process.kill(running.supervisor.pid!, 'SIGKILL');
    });
    await running.rewrap.start(running.act, () => ({}));
    await running.replaced();
    expect(running.rewrap.status()?.state).toBe('running');
    await running.restart();
    expect(running.rewrap.status()?.state).toBe('running');
    await running.seal.resume(running.act);
    expect(await finished(running)).toMatchObject({ done: KEYS + 1, failed: 0 });
    expect(await running.allSign()).toBe(KEYS);
  });

  it('does not bring back what was erased meanwhile', async () => {
    const running = await withKeys(3);
    await running.rootKey.rotate(running.act);
    const erased = running.storage.reads.keys()[1]!;
    running.onCommit((kind) => {
      // The page has been read and sealed anew by now.
      if (kind === 'seal.rewrap_progressed') running.storage.commit((tx) => tx.eraseSealed(erased.id, 1));
    });
    await running.rewrap.start(running.act, () => ({}));
    expect(await finished(running)).toMatchObject({ done: 4, failed: 0 });
    expect(() => running.storage.reads.sealedKey(erased.id, 1)).toThrow('destroyed');
  });

  it('leaves one that does not open as it is, counts it, and moves the others', async () => {
    const running = await withKeys(3);
    await running.rootKey.rotate(running.act);
    const [damaged] = running.storage.reads.keys();
    const before = Buffer.from(running.storage.reads.sealedKey(damaged!.id, 1));
    const after = Buffer.from(before);
    after[after.length - 1]! ^= 1;
    running.storage.commit((tx) => tx.replaceSealed(damaged!.id, 1, before, after));
    await running.rewrap.start(running.act, () => ({}));
    expect(await finished(running)).toMatchObject({ done: 4, failed: 1 });
    expect(Buffer.from(running.storage.reads.sealedKey(damaged!.id, 1)).equals(after)).toBe(true);
    expect(running.rootKey.status()?.oldTermKeys).toBe(1);
  });

  it('keeps what may be exported apart from what may not', async () => {
    const running = await withKeys(1);
    await running.keys.create(running.act, { name: 'leaves', tags: [], exportable: true });
    await running.rootKey.rotate(running.act);
    await running.rewrap.start(running.act, () => ({}));
    await finished(running);
    const { reads } = running.storage;
    const flags = reads.keys().map(({ id, name }) => [name, isExportable(reads.sealedKey(id, 1))]);
    expect(Object.fromEntries(flags)).toEqual({ 'key-0': false, leaves: true });
    expect(await running.allSign()).toBe(2);
  });
});

describe('a term of the root key', () => {
  it('is followed by the next when it is old enough', async () => {
    const running = await withKeys(1, { maxEncryptions: 2 ** 31, maxAgeDays: 30 });
    running.advance(30 * DAY - 60_000);
    await running.tick();
    expect(running.rootKey.status()?.term).toBe(1);
    running.advance(60_000);
    await running.tick();
    expect(running.rootKey.status()).toMatchObject({ term: 2, oldTermKeys: 2 });
    await running.tick();
    expect(running.kinds('seal.root_rotated').length).toBe(1);
  });

  it('is followed by the next when it has made enough encryptions, also those of other runs', async () => {
    const running = await withKeys(2, { maxEncryptions: 500, maxAgeDays: 30 });
    await running.tick();
    expect(running.rootKey.status()?.term).toBe(1);
    // A start counts what was written ahead as made.
    await running.restart();
    await running.tick();
    expect(running.kinds('seal.root_rotated')).toEqual([]);
    await running.seal.resume(running.act);
    await running.tick();
    expect(running.rootKey.status()?.term).toBe(2);
    await running.keys.create(running.act, { name: 'next', tags: [] });
    expect(await running.allSign()).toBe(3);
  });

  it('is not used before it is stored', async () => {
    const running = await withKeys(1);
    running.onCommit((kind) => {
      if (kind === 'seal.root_rotated') throw new Error('no log');
    });
    await expect(running.rootKey.rotate(running.act)).rejects.toThrow('no log');
    running.onCommit(undefined);
    await running.keys.create(running.act, { name: 'after', tags: [] });
    expect(terms(running)).toEqual([1]);
    await running.rootKey.rotate(running.act);
    await running.restart();
    await running.seal.resume(running.act);
    expect(await running.allSign()).toBe(2);
  });
});
