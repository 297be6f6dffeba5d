import { describe, expect, it } from 'vitest';
import { verifyLog, type LogSource, type VerifyReport } from '../../../src/audit/verify/log.ts';
import { copyOf, mixedLog, rootAt, setFields, sourceOf, type MemoryLog } from '../memory-log.ts';

const { owner, pristine } = mixedLog();
const HEAD = { size: 40, root: rootAt(pristine, 40) };

function verify(log: MemoryLog, head: NonNullable<LogSource['head']>): Promise<VerifyReport> {
  return verifyLog({ ...sourceOf(log), head }, { vkey: owner.vkey });
}

function mismatch(index: number, through: number): object {
  return { ok: false, firstBad: { index, through, problem: 'head_mismatch' } };
}

describe('the head stored beside the entries', () => {
  it('fits a good log, with its root or without', async () => {
    expect(await verify(pristine, HEAD)).toMatchObject({ ok: true });
    expect(await verify(pristine, { size: 40 })).toMatchObject({ ok: true });
  });

  it.each([35, 33, 25, 1, 0])('shows a log cut to %i along with the checkpoints above', async (size) => {
    const log = copyOf(pristine);
    log.entries.splice(size);
    const { length } = [0, 1, 8, 8, 20, 33].filter((each) => each <= size);
    log.notes.splice(length);
    expect(await verify(log, HEAD)).toMatchObject(mismatch(size, 39));
    expect(await verify(log, { size: 40 })).toMatchObject(mismatch(size, 39));
  });

  it('shows entries that it does not count', async () => {
    expect(await verify(pristine, { size: 38, root: rootAt(pristine, 38) })).toMatchObject(mismatch(38, 39));
  });

  it('shows an entry after the last checkpoint that was edited along with its leaf hash', async () => {
    const log = copyOf(pristine);
    setFields(log, 36, { detail: { forged: true } });
    expect(await verify(log, HEAD)).toMatchObject(mismatch(33, 39));
  });

  it('shows that it was edited itself', async () => {
    const log = { ...pristine, notes: [...pristine.notes, owner.note(40, HEAD.root)] };
    expect(await verify(log, { size: 40, root: Buffer.alloc(32) })).toMatchObject(mismatch(0, 39));
  });
});
