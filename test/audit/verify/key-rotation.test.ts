import { describe, expect, it } from 'vitest';
import { formatKeyRotation } from '../../../src/audit/tree/key-rotation.ts';
import { verifyLog, type VerifyOptions, type VerifyReport } from '../../../src/audit/verify/log.ts';
import {
  copyOf,
  entryOf,
  notary,
  rootAt,
  setFields,
  sourceOf,
  storedEntry,
  type MemoryLog,
  type Notary,
} from '../memory-log.ts';

const ORIGIN = 'example.com/countersign';
const [first, second, third, stranger] = [notary(ORIGIN), notary(ORIGIN), notary(ORIGIN), notary(ORIGIN)];

function add(log: MemoryLog, count: number): void {
  for (let i = 0; i < count; i++) {
    const index = log.entries.length;
    log.entries.push(storedEntry(index, entryOf(index, { kind: 'service.started', outcome: 'done' })));
  }
}

function sign(log: MemoryLog, by: Notary): void {
  log.notes.push(by.note(log.entries.length, rootAt(log, log.entries.length)));
}

/** The detail of a rotation that is the next entry. */
function rotation(log: MemoryLog, from: Notary, to: Notary, by = from): { readonly [name: string]: string } {
  const size = log.entries.length;
  const text = formatKeyRotation({ size, root: rootAt(log, size), oldVkey: from.vkey, newVkey: to.vkey });
  return { oldKey: from.vkey, newKey: to.vkey, note: by.signed(text), reason: 'yearly' };
}

function rotate(log: MemoryLog, from: Notary, to: Notary, by = from): void {
  const index = log.entries.length;
  const draft = { kind: 'audit.key_rotated', outcome: 'done', detail: rotation(log, from, to, by) } as const;
  log.entries.push(storedEntry(index, entryOf(index, draft)));
}

/** Rotated at entries 5 and 10; each key signs on both sides of it as far as it may. */
function rotatedLog(): MemoryLog {
  const log: MemoryLog = { entries: [], notes: [] };
  add(log, 3);
  sign(log, first);
  add(log, 2);
  sign(log, first);
  rotate(log, first, second);
  sign(log, second);
  add(log, 4);
  sign(log, second);
  rotate(log, second, third);
  add(log, 2);
  sign(log, third);
  add(log, 2);
  return log;
}

const pristine = rotatedLog();

function verify(log: MemoryLog, by = first, options: Partial<VerifyOptions> = {}): Promise<VerifyReport> {
  return verifyLog(sourceOf(log), { vkey: by.vkey, ...options });
}

function bad(index: number, problem: string, message = ''): object {
  const firstBad = { index, problem, message: expect.stringContaining(message) as string };
  return { ok: false, firstBad };
}

describe('a log whose key was rotated', () => {
  it('verifies with the first key through all rotations', async () => {
    expect(await verify(pristine)).toMatchObject({
      ok: true,
      size: 15,
      checkpoint: { size: 13 },
      keyRotations: 2,
      checkpointsNotChecked: 0,
      currentVkey: third.vkey,
    });
  });

  it('verifies with a later key, and says how many checkpoints it could not check', async () => {
    expect(await verify(pristine, second)).toMatchObject({
      ok: true,
      checkpointsNotChecked: 2,
      currentVkey: third.vkey,
    });
    expect(await verify(pristine, third)).toMatchObject({
      ok: true,
      checkpointsNotChecked: 4,
      currentVkey: third.vkey,
    });
  });

  it('verifies where no checkpoint of the first key is left', async () => {
    const log = { ...pristine, notes: pristine.notes.slice(-1) };
    for (const by of [first, second, third]) expect(await verify(log, by)).toMatchObject({ ok: true });
  });

  it('verifies right after the rotation, whose old key has signed as far as it may', async () => {
    const log: MemoryLog = { entries: [], notes: [] };
    add(log, 2);
    sign(log, first);
    rotate(log, first, second);
    expect(await verify(log)).toMatchObject({ ok: true, unsignedTail: 1, currentVkey: second.vkey });
    expect(await verify(log, second)).toMatchObject(bad(0, 'no_checkpoint'));
  });

  it('does not verify with a key that is none of its keys', async () => {
    expect(await verify(pristine, stranger)).toMatchObject(bad(0, 'checkpoint_signature'));
  });

  it.each([3, 5, 6, 10, 13])(
    'is consistent with a trusted checkpoint of size %i by the key of then',
    async (size) => {
      const by = size <= 5 ? first : size <= 10 ? second : third;
      const trusted = by.note(size, rootAt(pristine, size));
      expect(await verify(pristine, first, { trusted })).toMatchObject({ ok: true });
    },
  );

  it.each([
    [5, second],
    [6, first],
    [10, third],
    [11, second],
  ])('refuses a trusted checkpoint of size %i by the other key', async (size, by) => {
    const trusted = by.note(size, rootAt(pristine, size));
    const refused = {
      code: 'invalid_request',
      message: expect.stringContaining('key in force there') as string,
    };
    await expect(verify(pristine, first, { trusted })).rejects.toMatchObject(refused);
  });

  it('refuses a trusted checkpoint that the pinned key is too young for', async () => {
    await expect(verify(pristine, second, { trusted: pristine.notes[0]! })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

describe('an unauthorised switch', () => {
  /** A log of five entries signed by the first key, then what `forge` adds. */
  function forged(forge: (log: MemoryLog) => void): MemoryLog {
    const log: MemoryLog = { entries: [], notes: [] };
    add(log, 5);
    sign(log, first);
    forge(log);
    return log;
  }

  it('without a rotation: the checkpoint is named', async () => {
    const log = forged((each) => {
      add(each, 2);
      sign(each, stranger);
    });
    expect(await verify(log)).toMatchObject(bad(5, 'checkpoint_signature', 'with the key in force there'));
  });

  it('with a rotation that the new key has signed', async () => {
    const log = forged((each) => {
      rotate(each, first, stranger, stranger);
      sign(each, stranger);
    });
    expect(await verify(log)).toMatchObject(bad(5, 'key_rotation', 'is not signed by the old key'));
  });

  it('with a rotation from a key that is not in force', async () => {
    const log = forged((each) => {
      rotate(each, stranger, second);
      sign(each, second);
    });
    expect(await verify(log)).toMatchObject(bad(5, 'key_rotation', 'is not the one that is in force'));
    // For somebody who has pinned the later key only, too: the earlier ones must lead to each other.
    rotate(log, first, third);
    sign(log, third);
    expect(await verify(log, third)).toMatchObject(bad(6, 'key_rotation', 'the rotation before it'));
  });

  it('back to a key that was rotated away', async () => {
    const log = copyOf(pristine);
    add(log, 1);
    sign(log, first);
    expect(await verify(log)).toMatchObject(bad(13, 'checkpoint_signature'));
    sign(log, second);
    expect(await verify(log, second)).toMatchObject(bad(13, 'checkpoint_signature'));
  });

  it('by the old key over the entry of the rotation', async () => {
    const log = copyOf(pristine);
    log.notes[2] = first.note(6, rootAt(log, 6));
    expect(await verify(log)).toMatchObject(bad(5, 'checkpoint_signature'));
  });

  it('by the new key over no more than what was before it', async () => {
    const log = copyOf(pristine);
    log.notes[1] = second.note(5, rootAt(log, 5));
    expect(await verify(log)).toMatchObject(bad(3, 'checkpoint_signature'));
    expect(await verify(log, second)).toMatchObject(bad(0, 'checkpoint_signature'));
  });

  it('whose history before it the new key has rewritten', async () => {
    const log = forged(() => undefined);
    const { detail } = entryOf(5, {
      kind: 'audit.key_rotated',
      outcome: 'done',
      detail: rotation(log, first, second),
    });
    log.notes.splice(0);
    setFields(log, 2, { detail: { forged: true } });
    log.entries.push(
      storedEntry(5, entryOf(5, { kind: 'audit.key_rotated', outcome: 'done', detail: detail! })),
    );
    sign(log, second);
    for (const by of [first, second]) {
      const report = await verify(log, by);
      expect(report).toMatchObject(bad(0, 'key_rotation', 'are not those that the old key has signed for'));
      expect(report).toMatchObject({ firstBad: { through: 5 } });
    }
    // Or moved: the old key spoke for exactly the entries that were there.
    const moved = forged(() => undefined);
    add(moved, 1);
    moved.entries.push(
      storedEntry(6, entryOf(6, { kind: 'audit.key_rotated', outcome: 'done', detail: detail! })),
    );
    expect(await verify(moved)).toMatchObject(bad(6, 'key_rotation', 'for another place in the log'));
  });

  it.each([
    ['no note', { note: undefined }, 'no note'],
    ['a note that is none', { note: 'x' }, 'not a signed note'],
    ['a checkpoint for its note', { note: first.note(5, Buffer.alloc(32)) }, 'not the rotation'],
    ['another new key beside the note', { newKey: stranger.vkey }, 'names other keys'],
    ['another old key beside the note', { oldKey: stranger.vkey }, 'names other keys'],
  ])('with %s', async (_name, change, message) => {
    const log = forged((each) => rotate(each, first, second));
    const { detail } = entryOf(5, {
      kind: 'audit.key_rotated',
      outcome: 'done',
      detail: rotation(
        forged(() => undefined),
        first,
        second,
      ),
    });
    setFields(log, 5, { detail: { ...detail, ...change } });
    expect(await verify(log)).toMatchObject(bad(5, 'key_rotation', message));
  });
});
