import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leafHash } from '../../../src/audit/tree/merkle.ts';
import type { FirstBad, LogProblem } from '../../../src/audit/verify/fault.ts';
import { verifyLog, type VerifyReport } from '../../../src/audit/verify/log.ts';
import {
  copyOf,
  mixedLog,
  readEntry,
  rootAt,
  setFields,
  sourceOf,
  storedEntry,
  timeOf,
  type MemoryLog,
} from '../memory-log.ts';

const { owner, stranger, pristine, sizes } = mixedLog();
const SIZE = pristine.entries.length;

function verify(log: MemoryLog, vkey = owner.vkey): Promise<VerifyReport> {
  return verifyLog(sourceOf(log), { vkey });
}

/** Replaces an entry's bytes; its leaf hash stays unless asked. */
function setBytes(log: MemoryLog, index: number, bytes: Buffer, rehash: boolean): void {
  const stored = log.entries[index]!;
  log.entries[index] = { ...stored, bytes, leafHash: rehash ? leafHash(bytes) : stored.leafHash };
}

function setText(log: MemoryLog, index: number, edit: (text: string) => string): void {
  setBytes(log, index, Buffer.from(edit(Buffer.from(log.entries[index]!.bytes).toString('utf8'))), true);
}

/** Gives the entries the positions they are at, in storage and in their bytes: a forger who knows the format. */
function renumber(log: MemoryLog): void {
  for (const [index, stored] of log.entries.entries()) {
    log.entries[index] = storedEntry(index, { ...readEntry(stored), index, time: timeOf(index) });
  }
}

function swap(log: MemoryLog, a: number, b: number): void {
  const [first, second] = [log.entries[a]!, log.entries[b]!];
  log.entries[a] = second;
  log.entries[b] = first;
}

type Expected = Pick<FirstBad, 'index' | 'problem'> & { readonly through?: number };

function at(index: number, problem: LogProblem): Expected {
  return { index, problem };
}

function within(index: number, through: number, problem: LogProblem): Expected {
  return { index, through, problem };
}

/** A test that damages a copy of the good log and expects this report. */
function damaged(name: string, expected: Expected, damage: (log: MemoryLog) => void): void {
  it.each([name])('%s', async () => {
    const log = copyOf(pristine);
    damage(log);
    const report = await verify(log);
    expect(report).toMatchObject({ ok: false, firstBad: expected });
    const { firstBad } = report as Extract<VerifyReport, { ok: false }>;
    expect(firstBad.through).toBe(expected.through);
    // The sentence names the entry, or the size of the checkpoint that comes before.
    expect(firstBad.message).toMatch(
      new RegExp(String.raw`\b${expected.index}\b|of size ${expected.through! + 1}\b`),
    );
  });
}

describe('a damaged log', () => {
  damaged('an edited byte', at(12, 'leaf_hash'), (log) => {
    const bytes = Buffer.from(log.entries[12]!.bytes);
    bytes[30] = bytes[30]! ^ 1;
    setBytes(log, 12, bytes, false);
  });
  damaged('shortened bytes', at(12, 'leaf_hash'), (log) =>
    setBytes(log, 12, Buffer.from(log.entries[12]!.bytes).subarray(0, -1), false),
  );
  damaged('a flipped leaf hash', at(9, 'leaf_hash'), (log) => {
    const hash = Buffer.from(log.entries[9]!.leafHash);
    hash[31] = hash[31]! ^ 1;
    log.entries[9] = { ...log.entries[9]!, leafHash: hash };
  });
  damaged('a leaf hash cut short', at(9, 'leaf_hash'), (log) => {
    log.entries[9] = { ...log.entries[9]!, leafHash: log.entries[9]!.leafHash.subarray(0, 31) };
  });
  damaged('an edited byte in the unsigned tail', at(38, 'leaf_hash'), (log) => {
    setBytes(log, 38, Buffer.from(log.entries[37]!.bytes), false);
  });
  damaged('an entry edited along with its leaf hash', within(8, 19, 'checkpoint_root'), (log) =>
    setFields(log, 12, { outcome: 'failed' }),
  );
  damaged('the first entry edited along with its leaf hash', within(0, 0, 'checkpoint_root'), (log) =>
    setFields(log, 0, { outcome: 'failed' }),
  );
  damaged('a deleted entry', at(5, 'index_gap'), (log) => void log.entries.splice(5, 1));
  damaged('a deleted first entry', at(0, 'index_gap'), (log) => void log.entries.shift());
  damaged('a deleted entry, storage renumbered', at(5, 'entry_index'), (log) => {
    log.entries.splice(5, 1);
    for (const [index, stored] of log.entries.entries()) log.entries[index] = { ...stored, index };
  });
  damaged('a deleted entry, all rewritten', within(1, 7, 'checkpoint_root'), (log) => {
    log.entries.splice(5, 1);
    renumber(log);
  });
  damaged(
    'an inserted entry',
    at(11, 'index_gap'),
    (log) =>
      void log.entries.splice(10, 0, storedEntry(10, { ...readEntry(log.entries[10]!), outcome: 'failed' })),
  );
  damaged('an inserted entry, all rewritten', within(8, 19, 'checkpoint_root'), (log) => {
    log.entries.splice(10, 0, log.entries[10]!);
    renumber(log);
  });
  damaged('reordered entries', at(14, 'index_gap'), (log) => swap(log, 14, 15));
  damaged('reordered entries, storage renumbered', at(14, 'entry_index'), (log) => {
    swap(log, 14, 15);
    for (const [index, stored] of log.entries.entries()) log.entries[index] = { ...stored, index };
  });
  damaged('reordered entries, all rewritten', within(8, 19, 'checkpoint_root'), (log) => {
    swap(log, 14, 16);
    renumber(log);
  });
  damaged('a log cut below a checkpoint', within(30, 32, 'log_cut'), (log) => void log.entries.splice(30));
  damaged('a log cut to nothing', within(0, 0, 'log_cut'), (log) => void log.entries.splice(0));
  damaged('no checkpoint', within(0, 39, 'no_checkpoint'), (log) => void log.notes.splice(0));
  damaged('a checkpoint by another key', at(8, 'checkpoint_signature'), (log) => {
    log.notes[4] = stranger.note(20, rootAt(log, 20));
  });
  damaged('a checkpoint of another log', at(8, 'checkpoint_origin'), (log) => {
    log.notes[4] = owner.note(20, rootAt(log, 20), 'example.com/other');
  });
  damaged('swapped checkpoint signatures', at(8, 'checkpoint_signature'), (log) => {
    log.notes[4] = `${log.notes[4]!.split('\n\n')[0]}\n\n${log.notes[5]!.split('\n\n')[1]}`;
  });
  damaged('a shortened note', at(8, 'checkpoint_malformed'), (log) => {
    log.notes[4] = log.notes[4]!.slice(0, -2);
  });
  damaged('a checkpoint with an edited size', at(8, 'checkpoint_signature'), (log) => {
    log.notes[4] = log.notes[4]!.replace('\n20\n', '\n21\n');
  });
  damaged('a checkpoint of another size, signed', within(8, 20, 'checkpoint_root'), (log) => {
    log.notes[4] = owner.note(21, rootAt(log, 20));
  });
  damaged('checkpoints out of order', within(20, 32, 'checkpoint_order'), (log) => {
    log.notes.push(log.notes[4]!);
  });
  damaged('two histories of one size', within(0, 7, 'checkpoint_root'), (log) => {
    log.notes[3] = owner.note(8, rootAt(log, 7));
  });
  damaged('a wrong root of the empty tree', at(0, 'checkpoint_root'), (log) => {
    log.notes[0] = owner.note(0, rootAt(log, 1));
  });
  damaged('duplicate members', at(6, 'not_canonical'), (log) =>
    setText(log, 6, (text) => text.replace('"v":1', '"v":1,"v":1')),
  );
  damaged('members out of order', at(6, 'not_canonical'), (log) =>
    setText(log, 6, (text) => `{"v":1,${text.slice(1).replace(',"v":1', '')}`),
  );
  damaged('white space', at(6, 'not_canonical'), (log) => setText(log, 6, (text) => `${text} `));
  damaged('another spelling of a number', at(6, 'not_canonical'), (log) =>
    setText(log, 6, (text) => text.replace('"v":1', '"v":1.0')),
  );
  damaged('an escaped lone surrogate', at(6, 'not_canonical'), (log) =>
    setText(log, 6, (text) => text.replace('"kind":"', String.raw`"kind":"\ud800`)),
  );
  damaged('deep nesting', at(6, 'not_canonical'), (log) =>
    setText(log, 6, () => '['.repeat(32_000) + ']'.repeat(32_000)),
  );
  damaged('bytes that are not UTF-8', at(6, 'not_utf8'), (log) =>
    setBytes(log, 6, Buffer.concat([Buffer.from(log.entries[6]!.bytes), Buffer.of(0xff)]), true),
  );
  damaged('no JSON', at(6, 'not_json'), (log) => setText(log, 6, (text) => text.slice(0, -1)));
  damaged('no bytes', at(6, 'not_json'), (log) => setText(log, 6, () => ''));
  damaged('a JSON array', at(6, 'entry_shape'), (log) => setText(log, 6, () => '[]'));
  damaged('no object', at(6, 'entry_shape'), (log) => setText(log, 6, () => 'null'));
  damaged('no kind', at(6, 'entry_shape'), (log) => setFields(log, 6, { kind: undefined }));
  damaged('a large entry', at(6, 'too_large'), (log) =>
    setFields(log, 6, { detail: { text: 'x'.repeat(65_535) } }),
  );
  damaged('another schema version', at(6, 'entry_version'), (log) => setFields(log, 6, { v: 2 }));
  damaged('another index in the bytes', at(6, 'entry_index'), (log) => {
    log.entries[6] = storedEntry(6, { ...readEntry(log.entries[6]!), index: 7 });
  });
  damaged('an index that is a string', at(6, 'entry_index'), (log) => setFields(log, 6, { index: '6' }));
  damaged('time going back', at(7, 'time_backwards'), (log) => setFields(log, 7, { time: timeOf(5) }));
  damaged('a time without milliseconds', at(6, 'entry_time'), (log) =>
    setFields(log, 6, { time: '2025-01-01T00:00:06Z' }),
  );
  damaged('a time in another zone', at(6, 'entry_time'), (log) =>
    setFields(log, 6, { time: '2025-01-01T00:00:06.000+00:00' }),
  );
  damaged('a day that does not exist', at(6, 'entry_time'), (log) =>
    setFields(log, 6, { time: '2025-02-30T00:00:06.000Z' }),
  );
  damaged('a time that is a number', at(6, 'entry_time'), (log) => setFields(log, 6, { time: 6 }));
  damaged('no time', at(6, 'entry_time'), (log) => setFields(log, 6, { time: undefined }));
  damaged('a signature of another entry', at(7, 'signer_mismatch'), (log) =>
    setFields(log, 7, { signature: readEntry(log.entries[9]!)['signature'] }),
  );
  damaged('a signature taken out', at(7, 'signature_missing'), (log) =>
    setFields(log, 7, { signature: undefined }),
  );

  const limit = { limit: 'daily', scope: 'key', amount: '5', before: '10', after: '15', max: '20' };
  const limited = (log: MemoryLog, change: object): void =>
    setFields(log, 6, { decision: { limits: [limit, { ...limit, ...change }] } });
  damaged('a limit that holds less after than it should', at(6, 'limit_sum'), (log) =>
    limited(log, { after: '14' }),
  );
  damaged('a limit that does not say what it held', at(6, 'limit_sum'), (log) =>
    limited(log, { before: undefined }),
  );
  damaged('a limit in other numbers', at(6, 'limit_sum'), (log) => limited(log, { after: '0xf' }));
  damaged('limits that are none', at(6, 'limit_sum'), (log) =>
    setFields(log, 6, { decision: { limits: 'none' } }),
  );
  const run = (log: MemoryLog, index: number, epoch: unknown): void =>
    setFields(log, index, { service: { node: 'test', version: '0.0.0', epoch } });
  damaged('a run of the service that began later', at(6, 'entry_epoch'), (log) => run(log, 6, 7));
  damaged('a run of the service that began at no entry of its own', at(6, 'entry_epoch'), (log) =>
    run(log, 6, 5),
  );
  damaged('a run of the service that goes back to one before', at(7, 'entry_epoch'), (log) => run(log, 6, 6));
  damaged('no run of the service', at(6, 'entry_epoch'), (log) => run(log, 6, undefined));
  damaged('a run of the service in words', at(6, 'entry_epoch'), (log) => run(log, 6, '0'));

  it('does not verify under another key of the same name', async () => {
    // To its end: the pinned key could be one that the log was rotated to.
    expect(await verify(pristine, stranger.vkey)).toMatchObject({
      ok: false,
      size: SIZE,
      firstBad: { index: 0, problem: 'checkpoint_signature' },
    });
  });

  it('is found at any byte of any entry', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(SIZE - 1),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (index, at, mask) => {
          const log = copyOf(pristine);
          const bytes = Buffer.from(log.entries[index]!.bytes);
          bytes[at % bytes.length] = bytes[at % bytes.length]! ^ mask;
          setBytes(log, index, bytes, false);
          expect(await verify(log)).toMatchObject({
            ok: false,
            size: index,
            firstBad: { index, problem: 'leaf_hash' },
          });
          // With the leaf hash too, it is found at the entry or at the next checkpoint.
          setBytes(log, index, bytes, true);
          const report = await verify(log);
          const covered = index < sizes.at(-1)!;
          expect(report.ok && covered).toBe(false);
          const range = report.ok
            ? [index, index]
            : [report.firstBad.index, report.firstBad.through ?? report.firstBad.index];
          // A time moved ahead shows at the entry after it.
          expect(range[0]! <= index + 1 && index <= range[1]!).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});
