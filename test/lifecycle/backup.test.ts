import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encrypt } from '../../src/backup/age.ts';
import { RESTORE_STAGES, type RestoreStage } from '../../src/backup/restore.ts';
import { jsonOf, runCli, type Ran } from '../cli/run.ts';
import { transfer } from '../http/running.ts';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  refusedStart,
  startService,
  until,
  type RunningService,
  type SignAnswer,
} from '../service.ts';

const CALLERS = 8;
const hasAge = spawnSync('age', ['--version']).error === undefined;
// CI installs it, and must not be without it unnoticed.
const skipsAge = !hasAge && process.env['CI'] === undefined;

interface Created {
  readonly size: number;
  readonly root: string;
  readonly database: string;
  readonly entry: number | null;
  readonly recipients: readonly string[];
}

interface Verified {
  readonly ok: boolean;
  readonly verified: { readonly pinned: boolean; readonly lost?: object; readonly continues?: string };
  readonly restoreTest?: { readonly keys: number; readonly versions: number; readonly opened?: number };
}

let service: RunningService;
let vkey: string;
let identity: string;
let recipient: string;
let identityFile: string;
let created: Created;
/** What the load was answered while the backup was made. */
let loaded: readonly number[];
const place = makeDirectory();
const backup = path.join(place, 'under-load.age');
const sealKey = path.join(place, 'seal.key');

const inPlace = (name: string): string => path.join(place, name);
const cli = async (...args: readonly string[]): Promise<Ran> =>
  await runCli(['backup', ...args], {
    env: { COUNTERSIGN_URL: service.url, COUNTERSIGN_TOKEN_FILE: path.join(service.data, 'admin.token') },
  });
const verify = async (file: string, ...args: readonly string[]): Promise<Ran> =>
  await cli('verify', file, '--identity', identityFile, '--vkey', vkey, ...args);
const restoreTo = async (target: string, ...args: readonly string[]): Promise<Ran> =>
  await cli('restore', backup, '--identity', identityFile, '--vkey', vkey, '--data', target, ...args);
const readiness = async ({ url }: RunningService): Promise<{ ready: boolean; reasons: string[] }> =>
  (await (await fetch(`${url}/readyz`)).json()) as { ready: boolean; reasons: string[] };

/** Signs transactions and messages until it is told to stop; what it was answered. */
function startLoad(running: RunningService): () => Promise<number[]> {
  let nonce = 0;
  const stopped = new AbortController();
  const statuses: number[] = [];
  const caller = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      const { status } =
        nonce % 2 === 0
          ? await running.demo.post('/v1/keys/demo/sign/transaction', transfer(nonce++))
          : await running.demo.post('/v1/keys/demo/sign/message', { message: `m${nonce++}` });
      statuses.push(status);
    }
  };
  const callers = Array.from({ length: CALLERS }, caller);
  return async () => {
    stopped.abort();
    await Promise.all(callers);
    return statuses;
  };
}

beforeAll(async () => {
  identity = await generateX25519Identity();
  recipient = await identityToRecipient(identity);
  identityFile = inPlace('identity.txt');
  writeFileSync(identityFile, `# made by a test\n${identity}\n`, { mode: 0o600 });
  service = await startService();
  vkey = expectStatus(200, await service.admin.get<string>('/v1/audit/key')).trim();
  for (const name of ['one', 'two']) expectStatus(201, await service.admin.post('/v1/keys', { name }));
  copyFileSync(path.join(service.data, 'seal.key'), sealKey);

  const stop = startLoad(service);
  await until(() => logSize(service.data) > 200, 20_000);
  created = jsonOf(await cli('create', '--to', backup, '--recipient', recipient, '--json')) as Created;
  const statuses = await stop();
  loaded = statuses;
});
afterAll(async () => await service?.stop());

function logSize(data: string): number {
  const log = logOf(data);
  log.close();
  return log.size;
}

describe('a backup of a service under load', () => {
  it('holds up none of its requests', () => {
    expect(loaded.length).toBeGreaterThan(100);
    expect(new Set(loaded)).toEqual(new Set([200]));
  });

  it('is an entry with what is in it, before it leaves', () => {
    const log = logOf(service.data);
    const entry = log.all().map(entryOf)[created.entry!]!;
    log.close();
    expect(entry).toMatchObject({
      kind: 'backup.created',
      outcome: 'done',
      actor: { principal: 'admin' },
      detail: {
        size: created.size,
        root: created.root,
        database: created.database,
        bytes: statSync(backup).size,
        recipients: created.recipients,
      },
    });
    expect(created.size).toBeGreaterThan(200);
    expect(created.size).toBeLessThanOrEqual(entry.index);
  });

  it('is readable for its owner only, and leaves nothing behind', () => {
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    expect(readdirSync(service.data).filter((name) => name.startsWith('.countersign-copy-'))).toEqual([]);
    expect(existsSync(`${backup}.partial`)).toBe(false);
  });

  it('passes verification, and a restore test in which every key is opened', async () => {
    const answer = jsonOf(
      await verify(backup, '--restore-test', '--seal-key-file', sealKey, '--json'),
    ) as Verified;
    expect(answer).toMatchObject({ ok: true, verified: { pinned: true } });
    expect(answer.restoreTest).toMatchObject({ keys: 3, versions: 3, opened: 3 });
  });

  it('is not opened by the key of another seal', async () => {
    const other = inPlace('other-seal.key');
    writeFileSync(other, Buffer.alloc(32, 7), { mode: 0o600 });
    const { code, stderr } = await verify(backup, '--restore-test', '--seal-key-file', other);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('keyring does not open'),
    });
  });

  it('is not of this log by another key', async () => {
    const other = `${vkey.split('+')[0]}+00000000+${vkey.split('+')[2]}`;
    const { code, stderr } = await cli('verify', backup, '--identity', identityFile, '--vkey', other);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('verifier key') });
  });

  it.skipIf(skipsAge)('opens with the age command, and is the same when age has encrypted it', async () => {
    const plain = spawnSync('age', ['-d', '-i', identityFile, backup], { maxBuffer: 1e9 });
    expect(plain.status, plain.stderr.toString()).toBe(0);
    expect(plain.stdout.subarray(0, 22).toString()).toBe('countersign-backup/v1\n');
    const again = inPlace('by-age.age');
    const sealed = spawnSync('age', ['-r', recipient, '-o', again], { input: plain.stdout });
    expect(sealed.status, sealed.stderr.toString()).toBe(0);
    expect(jsonOf(await verify(again, '--json'))).toMatchObject({ ok: true });
  });

  it('is never written over, nor into what another has left', async () => {
    const again = await cli('create', '--to', backup, '--recipient', recipient);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') });
    const other = inPlace('left.age');
    writeFileSync(`${other}.partial`, 'x');
    const left = await cli('create', '--to', other, '--recipient', recipient);
    expect(left).toMatchObject({ code: 1, stderr: expect.stringContaining('broken off') });
  });

  it('is for recipients that are some', async () => {
    const bad = await cli('create', '--to', inPlace('x.age'), '--recipient', 'age1nobody');
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining('recipient 1 is not one of age') });
    const answer = await service.admin.post('/v1/sys/backup', { recipients: ['age1nobody'] });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } });
  });
});

describe('a backup made beside the service', () => {
  const passphrase = (): string => {
    const file = inPlace('passphrase.txt');
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o600 });
    return file;
  };

  it('with a passphrase and the key of the seal opens every key by itself, and says loudly what is in it', async () => {
    const file = inPlace('beside.age');
    const how = ['--passphrase-file', passphrase(), '--with-seal-key'];
    const made = await cli2('create', '--data', service.data, '--to', file, ...how);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('IS in this backup') });
    expect(made.stderr).toContain('no entry');
    const tested = await cli2('verify', file, '--passphrase-file', passphrase(), '--restore-test', '--json');
    expect((jsonOf(tested) as Verified).restoreTest).toMatchObject({ opened: 3 });
    const target = inPlace('with-seal');
    const done = await cli2(
      'restore',
      file,
      '--passphrase-file',
      passphrase(),
      '--vkey',
      vkey,
      '--data',
      target,
    );
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('WARNING: seal.key came out') });
    expect(readFileSync(path.join(target, 'seal.key'))).toEqual(readFileSync(sealKey));
    expect(statSync(path.join(target, 'seal.key')).mode & 0o777).toBe(0o600);

    const wrong = inPlace('wrong.txt');
    writeFileSync(wrong, 'not this one at all\n', { mode: 0o600 });
    const refused = await cli2('verify', file, '--passphrase-file', wrong);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('the passphrase is wrong') });
    const byIdentity = await verify(file);
    expect(byIdentity).toMatchObject({ code: 1, stderr: expect.stringContaining('give --passphrase-file') });
  });

  it('a service gives out neither the seal nor takes a passphrase', async () => {
    for (const option of [
      ['--with-seal-key', '--recipient', recipient],
      ['--passphrase-file', passphrase()],
    ]) {
      const { code, stderr } = await cli('create', '--to', inPlace('y.age'), ...option);
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('needs --data') });
    }
  });

  const cli2 = async (...args: readonly string[]): Promise<Ran> => await runCli(['backup', ...args]);
});

describe('what is no good backup', () => {
  const spoiled = (name: string, change: (bytes: Buffer) => Buffer): string => {
    const file = inPlace(`${name}.age`);
    writeFileSync(file, change(readFileSync(backup)));
    return file;
  };
  const flipped = (at: (size: number) => number) => (bytes: Buffer) => {
    const index = at(bytes.length);
    bytes[index] = bytes[index]! ^ 1;
    return bytes;
  };
  const made = async (name: string, plain: Buffer): Promise<string> => {
    const { pieces } = await encrypt({ recipients: [recipient] }, onePiece(plain), plain.length);
    const chunks: Uint8Array[] = [];
    for await (const piece of pieces) chunks.push(piece);
    return spoiled(name, () => Buffer.concat(chunks));
  };

  it.each([
    ['a bit of the age header', flipped(() => 60), 'changed or cut off|does not open|not in the age format'],
    ['a bit in the beginning', flipped(() => 1_000), 'changed or cut off'],
    ['a bit in the middle', flipped((size) => Math.floor(size / 2)), 'changed or cut off'],
    ['the last bit', flipped((size) => size - 1), 'changed or cut off'],
  ])('with %s changed is refused', async (name, change, message) => {
    const { code, stderr } = await verify(spoiled(name.replaceAll(' ', '-'), change));
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(message));
  });

  it.each([10, 100, 5_000, 65_552 * 2 + 300])('cut off after %i bytes is refused', async (length) => {
    const file = spoiled(`cut-${length}`, (bytes) => bytes);
    truncateSync(file, length);
    const { code, stderr } = await verify(file);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cut off|not in the age format/);
  });

  it('for another recipient is refused', async () => {
    const other = inPlace('other.txt');
    writeFileSync(other, `${await generateX25519Identity()}\n`, { mode: 0o600 });
    const { code, stderr } = await cli('verify', backup, '--identity', other);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('other recipients') });
  });

  it('of a newer format is refused', async () => {
    const file = await made('newer', Buffer.from('countersign-backup/v2\n{}\n'));
    const { code, stderr } = await verify(file);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('format version 2') });
  });

  it('of something else is refused', async () => {
    const file = await made('else', Buffer.from('a tar perhaps\n\n'));
    const { code, stderr } = await verify(file);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no backup of countersign'),
    });
  });

  it('is not restored where something is', async () => {
    const target = inPlace('full');
    mkdirSync(target);
    writeFileSync(path.join(target, 'x'), '');
    const { code, stderr } = await restoreTo(target);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('is not empty') });
    expect(readdirSync(target)).toEqual(['x']);
  });

  it('is not restored without anything that shows whose log it is', async () => {
    const how = ['--identity', identityFile, '--data', inPlace('unpinned')];
    const { code, stderr } = await cli('restore', backup, ...how);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('--vkey') });
  });
});

describe('a restored directory', () => {
  it('has every row of the backup, and takes over once', async () => {
    const target = inPlace('restored');
    const done = jsonOf(await restoreTo(target, '--json'));
    expect(done).toMatchObject({
      epoch: 1,
      size: created.size,
      root: created.root,
      pinned: true,
      sealKey: false,
    });
    const snapshot = inPlace('snapshot.db');
    writeFileSync(snapshot, await databaseOf(backup));
    const [expected, found] = [rowsOf(snapshot), rowsOf(path.join(target, 'countersign.db'))];
    expect(Object.keys(found).length).toBeGreaterThan(15);
    for (const table of Object.keys(expected)) expect(found[table], table).toEqual(expected[table]);

    copyFileSync(sealKey, path.join(target, 'seal.key'));
    copyFileSync(path.join(service.data, 'admin.token'), path.join(target, 'admin.token'));
    copyFileSync(path.join(service.data, 'demo.token'), path.join(target, 'demo.token'));
    const [config, sink] = [inPlace('sink.yaml'), inPlace('sink.jsonl')];
    writeFileSync(config, stringify({ audit: { sinks: [{ name: 'line', type: 'file', path: sink }] } }));
    const args = ['--config', config];
    let restored = await startService({ data: target, args });
    const { ready, reasons } = await readiness(restored);
    expect({ ready, reasons }).toMatchObject({
      ready: false,
      reasons: [expect.stringContaining('was restored')],
    });
    const unsealing = await restored.admin.post('/v1/sys/unseal', {});
    expect(unsealing).toMatchObject({ status: 503, body: { detail: expect.stringContaining('take over') } });
    expect((await restored.demo.post('/v1/keys/demo/sign/message', { message: 'm' })).status).toBe(503);
    expect((await restored.admin.post('/v1/keys', { name: 'three' })).status).toBe(503);
    // That of the backup: no new one is signed while the old service may sign its own.
    const note = expectStatus(200, await restored.admin.get<string>('/v1/audit/checkpoint'));
    expect(Number(note.split('\n')[1])).toBeLessThanOrEqual(created.size);
    const status = await restored.admin.get<{ fencing: object }>('/v1/sys/status');
    expect(status.body.fencing).toMatchObject({ epoch: 1, restored: { size: created.size, epoch: 1 } });
    // A restart is no way around it.
    await restored.stop();
    restored = await startService({ data: target, args });
    expect((await readiness(restored)).ready).toBe(false);
    expect(existsSync(sink)).toBe(false);

    const token = path.join(target, 'admin.token');
    const reason = 'the old machine was switched off';
    const how = ['take-over', '--url', restored.url, '--token-file', token, '--reason', reason];
    const taken = await runCli(['backup', ...how]);
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining('Nonces: ') });
    expect(await readiness(restored)).toEqual({ ready: true, reasons: [] });
    expectStatus(200, await restored.demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message: 'm' }));
    expect((await restored.admin.post('/v1/sys/take-over', { reason })).status).toBe(409);
    const delivered = (): boolean =>
      existsSync(sink) && readFileSync(sink, 'utf8').includes('service.taken_over');
    expect(await until(delivered, 20_000)).toBe(true);
    await restored.stop();

    const log = logOf(target);
    const entry = log
      .all()
      .map(entryOf)
      .find(({ kind }) => kind === 'service.taken_over');
    log.close();
    expect(entry).toMatchObject({
      actor: { principal: 'admin' },
      detail: { restoredSize: created.size, restoredRoot: created.root, oldEpoch: 1, newEpoch: 2, reason },
    });
    // Nothing was signed for while it was fenced, and all of it is covered afterwards.
    const trusted = inPlace('trusted.txt');
    const audit = await runCli(['audit', 'verify', '--data', target, '--vkey', vkey, '--save', trusted]);
    expect(audit, audit.stderr).toMatchObject({ code: 0 });
    const next = await runCli([
      'backup',
      'create',
      '--data',
      target,
      '--to',
      inPlace('next.age'),
      '--recipient',
      recipient,
      '--json',
    ]);
    expect(jsonOf(next)).toMatchObject({ epoch: 2 });
  });

  it('takes over without its service, or as it starts', async () => {
    const target = inPlace('offline');
    expect((await restoreTo(target)).code).toBe(0);
    copyFileSync(sealKey, path.join(target, 'seal.key'));
    copyFileSync(path.join(service.data, 'demo.token'), path.join(target, 'demo.token'));
    const restored = await startService({ data: target, args: ['--take-over', 'a drill'] });
    expect((await readiness(restored)).ready).toBe(true);
    await restored.stop();
    const again = await runCli(['backup', 'take-over', '--data', target, '--reason', 'again']);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('was not restored') });
    const log = logOf(target);
    const kinds = log.all().map((each) => entryOf(each));
    log.close();
    const entry = kinds.find(({ kind }) => kind === 'service.taken_over');
    expect(entry?.detail).toMatchObject({ reason: 'a drill', account: expect.any(String) });
    const audit = await runCli(['audit', 'verify', '--data', target, '--vkey', vkey]);
    expect(audit, audit.stderr).toMatchObject({ code: 0 });
  });
});

describe('a restore that is killed', () => {
  /** What it leaves beside each other. */
  const killedAt = async (stage: RestoreStage): Promise<{ target: string; left: string[] }> => {
    const parent = path.join(place, `killed-${stage}`);
    mkdirSync(parent);
    const target = path.join(parent, 'data');
    const order = JSON.stringify({ file: backup, identity, target, vkey, stage });
    const child = spawn(process.execPath, [path.resolve(import.meta.dirname, 'restore-child.ts'), order]);
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    if (signal !== 'SIGKILL') throw new Error(`it did not get to ${stage}`);
    return { target, left: readdirSync(parent).map((name) => path.join(parent, name)) };
  };

  it.each(RESTORE_STAGES.filter((stage) => stage !== 'finished'))(
    'at stage %s leaves nothing that starts',
    async (stage) => {
      const { target, left } = await killedAt(stage);
      expect(left).toHaveLength(1);
      const start = ['--listen', '127.0.0.1:0', '--log-level', 'error', '--data'];
      for (const data of new Set([target, ...left])) {
        const { code, stderr } = await refusedStart([...start, data]);
        expect({ code, stderr }).toMatchObject({
          code: 1,
          stderr: expect.stringContaining('left of a restore'),
        });
      }
      const after = readdirSync(path.dirname(target));
      expect(after.map((name) => path.join(path.dirname(target), name))).toEqual(left);
      // Only what has the name of the directory itself is in the way.
      const again = await restoreTo(target);
      expect(again).toMatchObject({
        code: stage === 'renamed' ? 1 : 0,
        stderr: expect.stringContaining('broken off'),
      });
    },
  );

  it('at its end leaves all of it, and nothing else', async () => {
    const { target, left } = await killedAt('finished');
    expect(left).toEqual([target]);
    expect(readdirSync(target)).toEqual(['countersign.db']);
    const refused = await restoreTo(target);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not empty') });
    const restored = await startService({ data: target });
    expect((await readiness(restored)).reasons).toEqual([expect.stringContaining('was restored')]);
    await restored.stop();
  });
});

describe('a backup that is older than what is known of the log', () => {
  it('is named, and refused until the loss is accepted; what is held outside still stops it then', async () => {
    const anchors = inPlace('anchors');
    mkdirSync(anchors);
    const newest = expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint'));
    const size = Number(newest.split('\n')[1]);
    expect(size).toBeGreaterThan(created.size);
    writeFileSync(path.join(anchors, `${String(size).padStart(16, '0')}.txt`), newest);

    const lost = { from: created.size, to: size - 1 };
    const old = await verify(backup, '--anchor', anchors, '--json');
    expect(old.code).toBe(1);
    expect(JSON.parse(old.stdout)).toMatchObject({ ok: false, verified: { lost } });
    const target = inPlace('lossy');
    const refused = await restoreTo(target, '--anchor', anchors);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`Entries ${lost.from} to ${lost.to} would be lost`),
    });
    expect(existsSync(target)).toBe(false);
    // A checkpoint over more than the backup has pins nothing of it: a forger would bring a key of their own.
    const unpinned = await cli(
      'restore',
      backup,
      '--identity',
      identityFile,
      '--data',
      target,
      '--anchor',
      anchors,
      '--accept-loss',
      'both disks are gone',
    );
    expect(unpinned).toMatchObject({ code: 1, stderr: expect.stringContaining('whose backup this is') });
    expect(existsSync(target)).toBe(false);
    const accepted = await restoreTo(target, '--anchor', anchors, '--accept-loss', 'both disks are gone');
    expect(accepted, accepted.stderr).toMatchObject({ code: 0 });

    copyFileSync(sealKey, path.join(target, 'seal.key'));
    for (const token of ['admin.token', 'demo.token'])
      copyFileSync(path.join(service.data, token), path.join(target, token));
    const config = inPlace('anchored.yaml');
    const to = [{ type: 'directory', name: 'kept', path: anchors }];
    writeFileSync(config, stringify({ audit: { anchors: { everySeconds: 1, to } } }));
    const taken = await runCli([
      'backup',
      'take-over',
      '--data',
      target,
      '--reason',
      'gone for good',
      '--json',
    ]);
    expect(jsonOf(taken)).toMatchObject({ lost, oldEpoch: 1, newEpoch: 2 });

    const restored = await startService({ data: target, args: ['--config', config] });
    expect((await readiness(restored)).reasons).toEqual([expect.stringContaining('anchor kept keeps')]);
    const sign = async (): Promise<number> =>
      (await restored.demo.post('/v1/keys/demo/sign/message', { message: 'm' })).status;
    expect(await sign()).toBe(503);
    expectStatus(
      200,
      await restored.admin.post('/v1/audit/split-view/acknowledge', { reason: 'the loss is known' }),
    );
    expect(await sign()).toBe(200);
    await restored.stop();
  });

  it('is shown to continue a checkpoint from before it', async () => {
    const before = inPlace('before.txt');
    const log = logOf(service.data);
    let note = '';
    for await (const each of log.checkpoints()) {
      if (Number(each.split('\n')[1]) > created.size) break;
      note = each;
    }
    log.close();
    writeFileSync(before, note);
    const answer = jsonOf(await verify(backup, '--checkpoint', before, '--json')) as Verified;
    expect(answer).toMatchObject({ ok: true, verified: { continues: before } });
  });
});

async function* onePiece(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The database in a backup, by the layout that the documentation gives and nothing of ours but age. */
async function databaseOf(file: string): Promise<Buffer> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const plain = Buffer.from(await decrypter.decrypt(readFileSync(file)));
  return plain.subarray(plain.indexOf('\n', plain.indexOf('\n') + 1) + 1);
}

/** Every row of every table, without the mark of what was restored. */
function rowsOf(file: string): { readonly [table: string]: unknown[] } {
  const db = new DatabaseSync(file, { readOnly: true });
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  const rows = Object.fromEntries(
    tables.map(({ name }) => {
      const where = name === 'meta' ? " WHERE name <> 'restored_from'" : '';
      return [String(name), db.prepare(`SELECT * FROM "${String(name)}"${where}`).all()];
    }),
  );
  db.close();
  return rows;
}
