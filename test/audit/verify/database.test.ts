import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VerifyOptions } from '../../../src/audit/verify/log.ts';
import { must, run, transfer, type Running } from '../../http/running.ts';
import { makeDirectory, startService } from '../../service.ts';
import { copyOfData, forge, verifyData, type Forger } from './forger.ts';

/**
 * Each way to damage the log of a real service, written by it into its database, and what shows it. docs/audit.md has
 * them in a table.
 */
const LONG = `0x${'ab'.repeat(20_000)}`;

let service: Running;
let pinned: string;
/** Of the log in the middle, and the data directory as it was then. */
let trusted: string;
let older: string;
/** Index of an entry that is signed, and of one with data beside it. */
let signed: number;
let long: number;

beforeAll(async () => {
  service = await run();
  pinned = must(await service.admin.get('/v1/audit/key')).text.trim();
  const first = must(await service.signer.post('/v1/keys/demo/sign/message', { message: 'one' }));
  signed = first.body.receipt.index;
  const items = Array.from({ length: 300 }, (_, nonce) => ({
    key: 'demo',
    operation: 'transaction',
    ...transfer(nonce),
  }));
  must(await service.signer.post('/v1/sign/batch', { items }));
  long = must(await service.signer.post('/v1/keys/demo/sign/message', { data: LONG })).body.receipt.index;
  must(await service.admin.get('/v1/audit/checkpoint'));
  await service.stop();
  older = copyOfData(service.data);
  await service.restart();
  must(await service.signer.post('/v1/keys/demo/sign/message', { message: 'two' }));
  trusted = must(await service.admin.get('/v1/audit/checkpoint')).text;
  must(await service.signer.post('/v1/keys/demo/sign/message', { message: 'three' }));
  await service.stop();
});
afterAll(async () => await service.end());

/** The first bad entry of a copy of the log after `damage`. */
async function found(
  damage: (forger: Forger) => void,
  options: Partial<VerifyOptions> = {},
): Promise<unknown> {
  const forger = forge(copyOfData(service.data));
  try {
    damage(forger);
  } finally {
    forger.close();
  }
  const report = await verifyData(forger.data, { vkey: pinned, ...options });
  return report.ok ? 'nothing' : report.firstBad;
}

const named = (index: number, problem: string): object => ({ index, problem });
/** The interval that a checkpoint or a hash above it leaves. */
const within = (index: number, problem: string): object => ({
  problem,
  index: expect.toSatisfy((first: number) => first <= index) as number,
  through: expect.toSatisfy((last: number) => last >= index) as number,
});

function flipped(bytes: Uint8Array, at = bytes.length - 1): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

describe('nothing', () => {
  it('is found in the log as it was written', async () => {
    expect(await found(() => undefined)).toBe('nothing');
    expect(await found(() => undefined, { trusted })).toBe('nothing');
    expect(await verifyData(older, { vkey: pinned })).toMatchObject({ ok: true, digestsNotRecomputed: 0 });
  });
});

describe('an entry edited', () => {
  it('in a byte', async () => {
    expect(await found((log) => log.put(signed, flipped(log.bytes(signed), 40), false))).toMatchObject(
      named(signed, 'leaf_hash'),
    );
  });

  it('along with its leaf hash', async () => {
    const rename = (log: Forger): void => log.put(1, { ...log.entry(1), outcome: 'failed' }, true);
    expect(await found(rename)).toMatchObject(within(1, 'checkpoint_root'));
  });

  it('along with its leaf hash, the tiles and the head', async () => {
    const rename = (entries: Buffer[]): void => {
      entries[signed] = Buffer.from(entries[signed]!.toString().replace('"name":"demo"', '"name":"dema"'));
    };
    expect(await found((log) => log.rewrite(rename))).toMatchObject(within(signed, 'checkpoint_root'));
  });

  it('with a duplicate key', async () => {
    const twice = (log: Forger): void => {
      const text = log.bytes(3).toString().replace('"outcome":"done"', '"outcome":"done","outcome":"done"');
      log.put(3, Buffer.from(text), true);
    };
    expect(await found(twice)).toMatchObject(named(3, 'not_canonical'));
  });

  it('in its time, as by a clock that steps back', async () => {
    const back = (log: Forger): void =>
      log.put(9, { ...log.entry(9), time: '2020-01-01T00:00:00.000Z' }, true);
    expect(await found(back)).toMatchObject(named(9, 'time_backwards'));
  });

  it('in the run of the service that wrote it', async () => {
    const moved = (log: Forger): void => {
      const { service: written, ...entry } = log.entry(9);
      log.put(9, { ...entry, service: { ...(written as object), epoch: 4 } }, true);
    };
    expect(await found(moved)).toMatchObject(named(9, 'entry_epoch'));
  });

  it('in its signature, for that of another', async () => {
    const swap = (log: Forger): void => {
      log.put(signed, { ...log.entry(signed), signature: log.entry(signed + 1)['signature'] }, true);
    };
    expect(await found(swap)).toMatchObject(named(signed, 'signer_mismatch'));
  });

  it('in its intent, which was not signed', async () => {
    const other = (log: Forger): void =>
      log.put(signed, { ...log.entry(signed), intent: { data: '0x00' } }, true);
    expect(await found(other)).toMatchObject(named(signed, 'digest_mismatch'));
  });
});

describe('entries', () => {
  it('deleted', async () => {
    expect(await found(({ db }) => db.exec('DELETE FROM audit_entries WHERE idx = 7'))).toMatchObject(
      named(7, 'index_gap'),
    );
  });

  it('deleted, and everything after them numbered and hashed anew', async () => {
    expect(await found((log) => log.rewrite((all) => void all.splice(7, 1)))).toMatchObject(
      within(7, 'checkpoint_root'),
    );
  });

  it('inserted, and everything after them numbered and hashed anew', async () => {
    expect(await found((log) => log.rewrite((all) => void all.splice(7, 0, all[8]!)))).toMatchObject(
      within(7, 'checkpoint_root'),
    );
  });

  it('reordered', async () => {
    const swap = ({ db }: Forger): void =>
      db.exec(`UPDATE audit_entries SET idx = -1 WHERE idx = 20; UPDATE audit_entries SET idx = 20 WHERE idx = 21;
        UPDATE audit_entries SET idx = 21 WHERE idx = -1`);
    expect(await found(swap)).toMatchObject(named(20, 'entry_index'));
  });

  it('reordered, and everything numbered and hashed anew', async () => {
    const swap = (all: Buffer[]): void => void ([all[20], all[22]] = [all[22]!, all[20]!]);
    expect(await found((log) => log.rewrite(swap))).toMatchObject(within(20, 'checkpoint_root'));
  });
});

describe('a log cut', () => {
  it('below a checkpoint', async () => {
    expect(await found(({ db }) => db.exec('DELETE FROM audit_entries WHERE idx >= 100'))).toMatchObject({
      index: 100,
      problem: 'log_cut',
    });
  });

  it('below a checkpoint, with the head put back', async () => {
    expect(await found((log) => log.rewrite((all) => void all.splice(100)))).toMatchObject({
      index: 100,
      problem: 'log_cut',
    });
  });

  it('along with the checkpoints above, but for the head', async () => {
    const cut = ({ db }: Forger): void =>
      db.exec('DELETE FROM audit_entries WHERE idx >= 305; DELETE FROM checkpoints WHERE size > 305');
    expect(await found(cut)).toMatchObject({ index: 305, problem: 'head_mismatch' });
  });

  it('with an older checkpoint served is found by a trusted one only', async () => {
    const cut = (log: Forger): void => {
      const size = (log.db.prepare('SELECT min(size) AS size FROM checkpoints').get() as { size: number })
        .size;
      log.rewrite((all) => void all.splice(size));
      log.db.prepare('DELETE FROM checkpoints WHERE size > ?').run(size);
    };
    expect(await found(cut)).toBe('nothing');
    expect(await found(cut, { trusted })).toMatchObject({ problem: 'log_cut' });
  });
});

describe('an older database put back', () => {
  it('is found by a trusted checkpoint only, or by a witness or an anchor', async () => {
    const options = { vkey: pinned, trusted };
    expect(await verifyData(older, { vkey: pinned })).toMatchObject({ ok: true });
    expect(await verifyData(older, options)).toMatchObject({ ok: false, firstBad: { problem: 'log_cut' } });
  });
});

describe('a log rewritten', () => {
  it('and signed again with the same key is found by a trusted checkpoint only: two views of one log', async () => {
    const data = copyOfData(service.data);
    const forger = forge(data);
    forger.rewrite((all) => {
      all[signed] = Buffer.from(all[signed + 1]!);
    });
    forger.db.exec('DELETE FROM checkpoints');
    forger.close();
    // The program itself signs what it finds.
    const other = await startService({ data });
    const seen = (await other.admin.get<string>('/v1/audit/checkpoint')).body;
    await other.stop();
    expect(await verifyData(data, { vkey: pinned })).toMatchObject({ ok: true });
    const firstBad = within(signed, 'trusted_root');
    expect(await verifyData(data, { vkey: pinned, trusted })).toMatchObject({ ok: false, firstBad });
    // And whoever saw the forged log finds it out in the true one.
    expect(await found(() => undefined, { trusted: seen })).toMatchObject({
      problem: expect.stringMatching(/^(trusted_root|log_cut)$/) as string,
    });
  });

  it('and signed with another key is found by the pinned one', async () => {
    const stranger = await run();
    must(await stranger.signer.post('/v1/keys/demo/sign/message', { message: 'forged' }));
    await stranger.stop();
    const db = forge(stranger.data);
    const [name = ''] = pinned.split('+');
    db.db.prepare("UPDATE meta SET value = ? WHERE name = 'origin'").run(name);
    db.db.exec('DELETE FROM checkpoints');
    db.close();
    await stranger.restart();
    await stranger.stop();
    expect(await verifyData(stranger.data, { vkey: pinned })).toMatchObject({
      ok: false,
      firstBad: named(0, 'checkpoint_signature'),
    });
    await stranger.end();
  });
});

describe('a checkpoint', () => {
  const notes = ({ db }: Forger): { size: number; note: string }[] =>
    db.prepare('SELECT size, note FROM checkpoints ORDER BY size').all() as unknown as {
      size: number;
      note: string;
    }[];
  const setNote = ({ db }: Forger, size: number, note: string): void =>
    void db.prepare('UPDATE checkpoints SET note = ? WHERE size = ?').run(note, size);

  it('of another log', async () => {
    const other = await run();
    const foreign = must(await other.admin.get('/v1/audit/checkpoint')).text;
    await other.end();
    const swap = (log: Forger): void => setNote(log, notes(log)[1]!.size, foreign);
    expect(await found(swap)).toMatchObject({ problem: 'checkpoint_origin' });
  });

  it('with the signature of another', async () => {
    const swap = (log: Forger): void => {
      const [, second, third] = notes(log);
      setNote(log, second!.size, `${second!.note.split('\n\n')[0]}\n\n${third!.note.split('\n\n')[1]}`);
    };
    expect(await found(swap)).toMatchObject({ problem: 'checkpoint_signature' });
  });

  it('none of which is left', async () => {
    expect(await found(({ db }) => db.exec('DELETE FROM checkpoints'))).toMatchObject({
      index: 0,
      problem: 'no_checkpoint',
    });
  });
});

describe('what is kept beside the entries', () => {
  it('a tile with a flipped bit', async () => {
    const flip = ({ db }: Forger): void => {
      const { hash } = db.prepare('SELECT hash FROM audit_nodes WHERE idx = 0').get() as { hash: Uint8Array };
      db.prepare('UPDATE audit_nodes SET hash = ? WHERE idx = 0').run(flipped(hash));
    };
    expect(await found(flip)).toMatchObject({ index: 0, through: 255, problem: 'tree_node' });
  });

  it('a tile that lacks a hash, or has one too many', async () => {
    expect(await found(({ db }) => db.exec('DELETE FROM audit_nodes'))).toMatchObject({
      index: 0,
      through: 255,
      problem: 'tree_node',
    });
    const more = ({ db }: Forger): void =>
      db.exec('INSERT INTO audit_nodes SELECT level, 1, hash FROM audit_nodes');
    expect(await found(more)).toMatchObject({ through: 511, problem: 'tree_node' });
  });

  it('a leaf hash with a flipped bit', async () => {
    const flip = ({ db }: Forger): void => {
      const row = db.prepare('SELECT leaf_hash FROM audit_entries WHERE idx = 5').get();
      db.prepare('UPDATE audit_entries SET leaf_hash = ? WHERE idx = 5').run(
        flipped(row!['leaf_hash'] as Uint8Array),
      );
    };
    expect(await found(flip)).toMatchObject(named(5, 'leaf_hash'));
  });

  it('data that is not there', async () => {
    expect(await found(({ db }) => db.exec('DELETE FROM audit_data'))).toMatchObject(
      named(long, 'data_missing'),
    );
  });

  it('data of another length, or with another hash', async () => {
    const change =
      (sql: string) =>
      ({ db }: Forger) =>
        db.exec(`UPDATE audit_data SET data = ${sql}`);
    expect(await found(change("x'00'"))).toMatchObject(named(long, 'data_mismatch'));
    expect(await found(change('zeroblob(length(data))'))).toMatchObject(named(long, 'data_mismatch'));
  });

  it('the head with a flipped bit', async () => {
    const flip = ({ db }: Forger): void => {
      const { frontier } = db.prepare('SELECT frontier FROM audit_head').get() as { frontier: Uint8Array };
      db.prepare('UPDATE audit_head SET frontier = ?').run(flipped(frontier));
    };
    expect(await found(flip)).toMatchObject({ problem: 'head_mismatch' });
  });
});

describe('a torn last write', () => {
  it('loses an uncommitted tail, and nothing that was answered', async () => {
    const { data, receipts } = await killed();
    const wal = path.join(data, 'countersign.db-wal');
    const whole = readFileSync(wal);
    // A frame that was begun: a header as SQLite writes it, and half of a page of anything.
    const torn = Buffer.concat([whole, whole.subarray(32, 56), Buffer.alloc(2_000, 0x5a)]);
    for (const bytes of [whole, torn, Buffer.concat([whole, Buffer.alloc(10_000, 0xff)])]) {
      const copy = makeDirectory();
      cpSync(data, copy, { recursive: true });
      writeWal(copy, bytes);
      const again = await startService({ data: copy });
      const kept = await Promise.all(
        receipts.map(
          async ({ index }) =>
            (await again.admin.get<{ leafHash: string }>(`/v1/audit/entries/${index}`)).body.leafHash,
        ),
      );
      expect(kept).toEqual(receipts.map(({ leafHash }) => leafHash));
      const vkey = (await again.admin.get<string>('/v1/audit/key')).body.trim();
      await again.stop();
      expect(await verifyData(copy, { vkey })).toMatchObject({ ok: true });
    }
  });

  it('that was committed and is garbled leaves a log that ends before it, which a trusted checkpoint shows', async () => {
    const { data, checkpoint, vkey } = await killed();
    const whole = readFileSync(path.join(data, 'countersign.db-wal'));
    const copy = makeDirectory();
    cpSync(data, copy, { recursive: true });
    // From the second half on, nothing is as it was.
    writeWal(
      copy,
      Buffer.concat([whole.subarray(0, whole.length >> 1), Buffer.alloc(whole.length >> 1, 0x5a)]),
    );
    expect(await verifyData(copy, { vkey })).toMatchObject({ ok: true });
    expect(await verifyData(copy, { vkey, trusted: checkpoint })).toMatchObject({
      ok: false,
      firstBad: { problem: 'log_cut' },
    });
  });
});

interface Killed {
  readonly data: string;
  readonly vkey: string;
  readonly receipts: readonly { readonly index: number; readonly leafHash: string }[];
  /** Over all that was answered. */
  readonly checkpoint: string;
}

/** A service that was killed under load, with what it had answered by then. */
async function killed(): Promise<Killed> {
  const running = await startService();
  const vkey = (await running.admin.get<string>('/v1/audit/key')).body.trim();
  const receipts: Killed['receipts'][number][] = [];
  for (let i = 0; i < 40; i++) {
    const answer = await running.demo.post<{ receipt: Killed['receipts'][number] }>(
      '/v1/keys/demo/sign/message',
      { message: `m${i}` },
    );
    receipts.push(answer.body.receipt);
  }
  const checkpoint = (await running.admin.get<string>('/v1/audit/checkpoint')).body;
  await running.kill();
  const data = makeDirectory();
  cpSync(running.data, data, { recursive: true });
  return { data, vkey, receipts, checkpoint };
}

/** The file that says how the log of the database is indexed would be made anew after a crash of the machine. */
function writeWal(data: string, bytes: Buffer): void {
  writeFileSync(path.join(data, 'countersign.db-wal'), bytes);
  rmSync(path.join(data, 'countersign.db-shm'), { force: true });
}
