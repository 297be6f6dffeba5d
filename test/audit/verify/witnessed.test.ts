import { describe, expect, it } from 'vitest';
import { parseNote } from '../../../src/audit/tree/note.ts';
import { verifyLog, type VerifyReport } from '../../../src/audit/verify/log.ts';
import { requireCosigned } from '../../../src/audit/verify/witnessed.ts';
import { copyOf, mixedLog, rootAt, sourceOf, type MemoryLog } from '../memory-log.ts';
import { cosign, vkeyOf, witnessKeys } from '../witness/witness-server.ts';

const { pristine, owner, stranger } = mixedLog();
const keys = ['a', 'b', 'c'].map((name) => ({ name: `witness.example/${name}`, pair: witnessKeys() }));
const vkeys = keys.map(({ name, pair }) => vkeyOf(name, pair.raw));

/** The note at this place, with lines of these witnesses. */
function cosigned(log: MemoryLog, at: number, by: readonly number[]): void {
  const { text } = parseNote(log.notes[at]!);
  log.notes[at] += by.map((i) => cosign(keys[i]!.name, keys[i]!.pair, text)).join('');
}

const verify = async (log: MemoryLog, quorum: number): Promise<VerifyReport> =>
  await verifyLog(sourceOf(log), { vkey: owner.vkey, witnesses: { vkeys, quorum } });

describe('a log whose cosignatures are demanded', () => {
  it('is good where so many witnesses hold one checkpoint, the newest of which is reported', async () => {
    const log = copyOf(pristine);
    cosigned(log, 2, [0, 1, 2]);
    cosigned(log, 4, [2, 0]);
    cosigned(log, 5, [1]);
    expect(await verify(log, 2)).toMatchObject({
      ok: true,
      size: 40,
      checkpoint: { size: 33 },
      witnessed: { size: 20, names: ['witness.example/a', 'witness.example/c'] },
    });
    expect(await verify(log, 3)).toMatchObject({ ok: true, witnessed: { size: 8 } });
    expect(await verify(log, 1)).toMatchObject({ ok: true, witnessed: { size: 33 } });
  });

  it('is bad where too few do', async () => {
    const log = copyOf(pristine);
    cosigned(log, 4, [0]);
    cosigned(log, 5, [1]);
    expect(await verify(log, 2)).toMatchObject({
      ok: false,
      firstBad: {
        index: 0,
        through: 39,
        problem: 'not_cosigned',
        message: expect.stringContaining('2 of the 3'),
      },
    });
  });

  it('is bad where a cosignature is over another checkpoint', async () => {
    const log = copyOf(pristine);
    const { text } = parseNote(log.notes[4]!);
    log.notes[5] += cosign(keys[0]!.name, keys[0]!.pair, text);
    expect(await verify(log, 1)).toMatchObject({ ok: false, firstBad: { problem: 'not_cosigned' } });
  });

  it('is bad for what else is wrong with it, whoever cosigned', async () => {
    const log = copyOf(pristine);
    log.notes[5] = stranger.note(33, rootAt(log, 33));
    cosigned(log, 5, [0, 1, 2]);
    expect(await verify(log, 3)).toMatchObject({ ok: false, firstBad: { problem: 'checkpoint_signature' } });
  });

  it('may be empty', async () => {
    const report = await verify({ entries: [], notes: [] }, 1);
    expect(report.ok).toBe(true);
    expect(report).not.toHaveProperty('witnessed');
  });
});

describe('a demand', () => {
  it.each([0, 4, 1.5])('of %d out of three is refused', async (quorum) => {
    await expect(verify(pristine, quorum)).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('of two with one key is refused', () => {
    const twice = [vkeys[0]!, vkeyOf('witness.example/alias', keys[0]!.pair.raw)];
    const note = parseNote(pristine.notes[5]!);
    expect(() => requireCosigned(note, { vkeys: twice, quorum: 2 })).toThrow(
      '1 witnesses with keys of their own',
    );
  });

  it('of a checkpoint that has fewer says which it has', () => {
    const log = copyOf(pristine);
    cosigned(log, 5, [1]);
    const note = parseNote(log.notes[5]!);
    expect(requireCosigned(note, { vkeys, quorum: 1 })).toEqual(['witness.example/b']);
    expect(() => requireCosigned(note, { vkeys, quorum: 2 })).toThrow(
      'cosigned by 1 of these witnesses (witness.example/b), and 2 are demanded',
    );
  });
});
