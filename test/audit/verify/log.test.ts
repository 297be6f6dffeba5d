import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { EntryDraft } from '../../../src/audit/entry.ts';
import { verifyLog, type VerifyOptions, type VerifyReport } from '../../../src/audit/verify/log.ts';
import {
  buildLog,
  copyOf,
  mixedLog,
  rootAt,
  setFields,
  signedDraft,
  sourceOf,
  timeOf,
  type MemoryLog,
} from '../memory-log.ts';

const { owner, stranger, pristine, sizes } = mixedLog();

function verify(log: MemoryLog, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return verifyLog(sourceOf(log), { vkey: owner.vkey, ...options });
}

describe('a good log', () => {
  it('is reported with its root, checkpoint, signatures and tail', async () => {
    expect(await verify(pristine)).toEqual({
      ok: true,
      size: 40,
      root: rootAt(pristine, 40).toString('hex'),
      checkpoint: { size: 33, root: rootAt(pristine, 33).toString('hex') },
      currentVkey: owner.vkey,
      keyRotations: 0,
      checkpointsNotChecked: 0,
      signatures: 20,
      signaturesChecked: true,
      digestsNotRecomputed: 0,
      unsignedTail: 7,
    });
  });

  it('may be empty', async () => {
    const empty = { ok: true, size: 0, root: rootAt(pristine, 0).toString('hex'), unsignedTail: 0 };
    expect(await verify({ entries: [], notes: [] })).toMatchObject(empty);
    expect(await verify(buildLog([], [0], owner))).toMatchObject({ ...empty, checkpoint: { size: 0 } });
  });

  it('may show its latest checkpoint only', async () => {
    expect(await verify({ ...pristine, notes: pristine.notes.slice(-1) })).toMatchObject({
      ok: true,
      unsignedTail: 7,
    });
  });

  it.each([0, 1, 5, 8, 33, 40])('is consistent with a trusted checkpoint of size %i', async (size) => {
    const trusted = owner.note(size, rootAt(pristine, size));
    const report = await verify(pristine, { trusted });
    expect(report).toMatchObject({ ok: true, checkpoint: { size: Math.max(size, 33) } });
  });

  it('is vouched for by the trusted checkpoint alone', async () => {
    const trusted = owner.note(10, rootAt(pristine, 10));
    expect(await verify({ ...pristine, notes: [] }, { trusted })).toMatchObject({
      ok: true,
      unsignedTail: 30,
    });
  });

  it('reports progress', async () => {
    const log = buildLog(unsignedDrafts(2_500), [2_500], owner);
    const seen: number[][] = [];
    await verify(log, { onProgress: (...progress) => seen.push(progress) });
    expect(seen).toEqual([
      [1_000, 2_500],
      [2_000, 2_500],
      [2_500, 2_500],
    ]);
  });

  it('accepts equal times', async () => {
    const log = buildLog(unsignedDrafts(3), [], owner);
    setFields(log, 2, { time: timeOf(1) });
    log.notes.push(owner.note(3, rootAt(log, 3)));
    expect(await verify(log)).toMatchObject({ ok: true });
  });
});

function unsignedDrafts(count: number): EntryDraft[] {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'service.started',
    outcome: 'done',
    detail: { i },
  }));
}

describe('the trusted checkpoint', () => {
  /** The owner of the log rewrites an entry and signs everything anew. */
  function rewritten(index: number): MemoryLog {
    const log = copyOf(pristine);
    setFields(log, index, { detail: { forged: true } });
    log.notes.splice(0);
    for (const size of sizes) log.notes.push(owner.note(size, rootAt(log, size)));
    return log;
  }

  it('finds a history that was rewritten and signed again', async () => {
    const log = rewritten(10);
    expect(await verify(log)).toMatchObject({ ok: true });
    const trusted = owner.note(25, rootAt(pristine, 25));
    expect(await verify(log, { trusted })).toMatchObject({
      ok: false,
      firstBad: { index: 20, through: 24, problem: 'trusted_root' },
    });
  });

  it('of a size that the log has signed otherwise', async () => {
    expect(await verify(rewritten(10), { trusted: pristine.notes[5]! })).toMatchObject({
      ok: false,
      firstBad: { index: 20, through: 32, problem: 'trusted_root' },
    });
  });

  it('finds a log that was rolled back', async () => {
    const log = { entries: pristine.entries.slice(0, 20), notes: pristine.notes.slice(0, 5) };
    expect(await verify(log)).toMatchObject({ ok: true });
    expect(await verify(log, { trusted: pristine.notes[5]! })).toMatchObject({
      ok: false,
      size: 20,
      firstBad: { index: 20, through: 32, problem: 'log_cut' },
    });
  });

  it.each([
    ['by another key', stranger.note(8, rootAt(pristine, 8))],
    ['of another log', owner.note(8, rootAt(pristine, 8), 'example.com/other')],
    ['that is no note', 'example.com/countersign\n8\n'],
  ])('%s is refused', async (_name, trusted) => {
    await expect(verify(pristine, { trusted })).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('options and source', () => {
  it('refuses a malformed vkey', async () => {
    await expect(verify(pristine, { vkey: 'x' })).rejects.toMatchObject({ code: 'invalid_request' });
  });

  it('passes errors of the source on, and closes it', async () => {
    let closed = 0;
    const source = {
      size: 0,
      async *entries() {
        yield await Promise.reject(new Error('disk'));
      },
      async *checkpoints() {
        try {
          yield* pristine.notes;
        } finally {
          closed += 1;
        }
      },
    };
    await expect(verifyLog(source, { vkey: owner.vkey })).rejects.toThrow('disk');
    expect(closed).toBe(1);
  });

  it('takes another check of signatures', async () => {
    const report = await verify(pristine, { checkSigned: () => ({ ok: true, digestRecomputed: false }) });
    expect(report).toMatchObject({ ok: true, signatures: 20, digestsNotRecomputed: 20 });
  });
});

describe('what an entry has beside it', () => {
  const bytes = Buffer.from('a long message');
  const dataHash = `0x${hash('sha256', bytes, 'hex')}`;
  const whole = signedDraft('message', { data: `0x${bytes.toString('hex')}` });
  const abridged = (dataLength = bytes.length): MemoryLog =>
    buildLog([{ ...whole, intent: { dataHash, dataLength } }], [1], owner);
  const check = (log: MemoryLog, data?: Buffer | null): Promise<VerifyReport> =>
    verifyLog(
      { ...sourceOf(log), ...(data !== undefined && { data: () => data ?? undefined }) },
      { vkey: owner.vkey },
    );

  it('completes the intent, whose digest is then recomputed', async () => {
    expect(await check(abridged(), bytes)).toMatchObject({ ok: true, digestsNotRecomputed: 0 });
    expect(await check(abridged())).toMatchObject({ ok: true, digestsNotRecomputed: 1 });
  });

  it('is asked for under its hash', async () => {
    const asked: string[] = [];
    const data = (sha256: Uint8Array): Buffer => (asked.push(Buffer.from(sha256).toString('hex')), bytes);
    await verifyLog({ ...sourceOf(abridged()), data }, { vkey: owner.vkey });
    expect(asked).toEqual([dataHash.slice(2)]);
  });

  it.each([
    ['missing', null, 'data_missing'],
    ['another', Buffer.from('a long massage'), 'data_mismatch'],
    ['shorter', bytes.subarray(1), 'data_mismatch'],
  ])('is %s', async (_name, data, problem) => {
    expect(await check(abridged(), data)).toMatchObject({ ok: false, firstBad: { index: 0, problem } });
  });

  it('has another length than the entry says', async () => {
    const firstBad = { index: 0, problem: 'data_mismatch' };
    expect(await check(abridged(15), bytes)).toMatchObject({ ok: false, firstBad });
  });

  it('is not what was signed', async () => {
    const other = Buffer.from('another message');
    const intent = { dataHash: `0x${hash('sha256', other, 'hex')}`, dataLength: other.length };
    const log = buildLog([{ ...whole, intent }], [1], owner);
    const firstBad = { index: 0, problem: 'digest_mismatch' };
    expect(await check(log, other)).toMatchObject({ ok: false, firstBad });
  });

  it('is looked at where signatures are left out, too', async () => {
    const source = { ...sourceOf(abridged()), data: () => undefined };
    expect(await verifyLog(source, { vkey: owner.vkey, checkSigned: false })).toMatchObject({
      ok: false,
      firstBad: { problem: 'data_missing' },
    });
  });
});
