import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafHash } from '../../../src/audit/tree/merkle.ts';
import { formatBundle, formatTileName, parseBundle, tileWidth } from '../../../src/audit/tree/tiles.ts';
import { runCli } from '../../cli/run.ts';
import { must, run, transfer, type Client, type Running } from '../../http/running.ts';
import { makeDirectory } from '../../service.ts';

/** The verifier in Python, which shares no line with ours, on the log of a real service and on copies that were changed. */
const PROGRAM = path.resolve(import.meta.dirname, '../../independent/verify_log.py');

interface Ran {
  readonly code: number;
  readonly stdout: string;
}

async function python(args: readonly string[]): Promise<Ran> {
  try {
    const { stdout } = await promisify(execFile)('python3', [PROGRAM, ...args]);
    return { code: 0, stdout };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number | string; stdout: string; stderr: string };
    if (typeof code !== 'number' || code === 2)
      throw new Error(`it did not run: ${stderr}`, { cause: error });
    return { code, stdout };
  }
}

let service: Running;
let auditor: Client;
let tokenFile: string;
let first: string;
let rotated: number;
let long: number;
let signed: number;
/** What the service gives of its log, as files. */
let mirror: string;

async function fetchBytes(route: string): Promise<Buffer> {
  const response = await fetch(service.url + route, {
    headers: { authorization: `Bearer ${auditor.token}` },
  });
  expect(response.status, route).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

async function save(root: string, name: string): Promise<void> {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, await fetchBytes(`/v1/audit/${name}`));
}

async function saveAll(root: string): Promise<void> {
  await save(root, 'checkpoint');
  const size = sizeOf(root);
  for (let index = 0; index * 256 < size; index++) {
    const name = formatTileName({ index, width: tileWidth(0, index, size) });
    await save(root, `tile/entries/${name}`);
    await save(root, `tile/0/${name}`);
  }
  await save(root, `tile/1/${formatTileName({ index: 0, width: tileWidth(1, 0, size) })}`);
  const [entry] = await service.entries({ from: long });
  await save(root, `data/${entry.intent.dataHash}`);
}

function sizeOf(root: string): number {
  return Number(readFileSync(path.join(root, 'checkpoint'), 'utf8').split('\n')[1]);
}

beforeAll(async () => {
  service = await run();
  auditor = await service.principal(['auditor']);
  tokenFile = path.join(makeDirectory(), 'token');
  writeFileSync(tokenFile, auditor.token!);
  first = must(await auditor.get('/v1/audit/key')).text.trim();
  const messages = Array.from({ length: 20 }, (_, i) => ({
    key: 'demo',
    operation: 'message',
    message: `Grüße 😀 "${i}"\n`,
  }));
  const transactions = Array.from({ length: 260 }, (_, nonce) => ({
    key: 'demo',
    operation: 'transaction',
    // Most are denied: recovering a signature takes this verifier a while.
    ...transfer(nonce, nonce < 20 ? {} : { value: '9'.repeat(30) }),
  }));
  const { body } = must(await service.signer.post('/v1/sign/batch', { items: messages }));
  signed = body.items[3].receipt.index;
  const data = `0x${'c0'.repeat(20_000)}`;
  long = must(await service.signer.post('/v1/keys/demo/sign/message', { data })).body.receipt.index;
  rotated = must(await service.admin.post('/v1/sys/rotate-log-key', { reason: 'yearly' })).body.receipt.index;
  must(await service.signer.post('/v1/sign/batch', { items: transactions }));
  mirror = makeDirectory();
  await saveAll(mirror);
});
afterAll(async () => await service.end());

describe('the verifier in Python', () => {
  it('finds the log of a running service good, from the first key on', async () => {
    const args = ['--url', service.url, '--token-file', tokenFile, '--vkey', first];
    const now = must(await auditor.get('/v1/audit/key')).text.trim();
    const { code, stdout } = await python(args);
    expect(stdout).toMatch(/^OK\nentries {2}\d+\n/);
    expect(stdout).toContain(`\nkey rotations  1\ncheckpoints not checked  0\nkey in force  ${now}\n`);
    expect(code).toBe(0);
  });

  it('agrees with ours on how much there is to check', async () => {
    const { stdout } = await python(['--dir', mirror, '--vkey', first]);
    const size = sizeOf(mirror);
    const entries = (await service.entries()).slice(0, size);
    const signatures = entries.filter(({ signature }) => signature !== undefined).length;
    expect(stdout).toContain(`\nsignatures  ${signatures}\n`);
    expect(stdout).toContain(`entries  ${size}\n`);
  });

  it('goes on from a trusted checkpoint, and by a later key', async () => {
    const trusted = path.join(mirror, 'checkpoint');
    const now = must(await auditor.get('/v1/audit/key')).text.trim();
    const args = ['--url', service.url, '--token-file', tokenFile, '--trusted', trusted];
    expect((await python([...args, '--vkey', first])).code).toBe(0);
    expect((await python([...args, '--vkey', now])).code).toBe(0);
  });
});

describe('the verifier in Python, on an exported archive', () => {
  const changed = async (sql: string): Promise<Ran> => {
    const file = path.join(makeDirectory(), 'log.archive');
    const exported = await runCli([
      'audit',
      'export',
      '--format',
      'archive',
      '--data',
      service.data,
      '--output',
      file,
    ]);
    expect(exported).toMatchObject({ code: 0 });
    const db = new DatabaseSync(file);
    db.exec(sql);
    db.close();
    return await python(['--archive', file, '--vkey', first]);
  };

  it('finds it good, from the first key on', async () => {
    const { code, stdout } = await changed('');
    expect(stdout).toMatch(/^OK\n[^]*\nkey rotations {2}1\ncheckpoints not checked {2}0\n/);
    expect(code).toBe(0);
  });

  it.each([
    [
      'an entry that was edited',
      "UPDATE audit_entries SET entry = x'7b7d' WHERE idx = 9",
      /^FAILED at entry 9: its bytes/,
    ],
    [
      'an entry that is not there',
      'DELETE FROM audit_entries WHERE idx = 9',
      /^FAILED at entry 9: it is not there/,
    ],
    [
      'a log that was cut',
      'DELETE FROM audit_entries WHERE idx > 200',
      /^FAILED at entry 201: the log is cut/,
    ],
    ['no checkpoint', 'DELETE FROM checkpoints', /^FAILED at entry 0: there is no checkpoint/],
    ['no data', 'DELETE FROM audit_data', /^FAILED at entry \d+: the data that it names/],
    [
      'the note of another checkpoint',
      'UPDATE checkpoints SET note = (SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1) WHERE size = (SELECT min(size) FROM checkpoints)',
      /^FAILED at entry \d+: a checkpoint covers less/,
    ],
  ])('finds %s', async (_name, sql, why) => {
    const { code, stdout } = await changed(sql);
    expect(stdout).toMatch(why);
    expect(code).toBe(1);
  });
});

describe('the verifier in Python, on a copy that was changed', () => {
  /** What it says of the first 256 entries after `change`, and of files that `also` writes. */
  async function saysOf(
    change: (entries: Buffer[]) => void,
    { rehash = true, also = (_root: string): void => undefined, args = [] as readonly string[] } = {},
  ): Promise<string> {
    const root = makeDirectory();
    cpSync(mirror, root, { recursive: true });
    const name = formatTileName({ index: 0, width: tileWidth(0, 0, sizeOf(root)) });
    const bundle = path.join(root, `tile/entries/${name}`);
    const entries = parseBundle(readFileSync(bundle), tileWidth(0, 0, sizeOf(root))).map((each) =>
      Buffer.from(each),
    );
    change(entries);
    writeFileSync(bundle, formatBundle(entries));
    if (rehash) writeFileSync(path.join(root, `tile/0/${name}`), Buffer.concat(entries.map(leafHash)));
    also(root);
    const { code, stdout } = await python(['--dir', root, '--vkey', first, ...args]);
    expect(code).toBe(stdout.startsWith('OK') ? 0 : 1);
    return stdout;
  }

  const nothing = (): void => undefined;
  const edit = (index: number, change: (text: string) => string) => (entries: Buffer[]) => {
    const before = entries[index]!.toString();
    entries[index] = Buffer.from(change(before));
    expect(entries[index].toString()).not.toBe(before);
  };
  const replaceFile = (name: string, change: (bytes: Buffer) => Buffer) => (root: string) =>
    writeFileSync(path.join(root, name), change(readFileSync(path.join(root, name))));
  const flip = (bytes: Buffer): Buffer => {
    bytes[10] = bytes[10]! ^ 1;
    return bytes;
  };
  const checkpoint = (change: (note: string) => string) =>
    replaceFile('checkpoint', (bytes) => Buffer.from(change(bytes.toString())));

  it('finds nothing where nothing was changed', async () => {
    expect(await saysOf(nothing)).toMatch(/^OK\n/);
  });

  it('finds a byte', async () => {
    const says = await saysOf(
      edit(7, (text) => text.replace('"done"', '"dona"')),
      { rehash: false },
    );
    expect(says).toMatch(/^FAILED at entry 7: its bytes do not have its leaf hash/);
  });

  it('finds an entry that was changed along with its leaf hash', async () => {
    const says = await saysOf(edit(7, (text) => text.replace('"done"', '"failed"')));
    expect(says).toMatch(
      /^FAILED at entry 0: one of the entries from here to \d+ is not what the old key has signed for/,
    );
  });

  it('finds one after the rotation by the checkpoint', async () => {
    const renamed = await saysOf(edit(rotated + 3, (text) => text.replace('"node":"', '"node":"x')));
    expect(renamed).toMatch(
      /^FAILED at entry 0: one of the entries from here to \d+ is not what the checkpoint of \d+ entries covers/,
    );
  });

  it('finds entries that were deleted or reordered', async () => {
    const moved = (entries: Buffer[]): void => void ([entries[4], entries[5]] = [entries[5]!, entries[4]!]);
    expect(await saysOf(moved)).toMatch(/^FAILED at entry 4: it carries another index/);
    const doubled = (entries: Buffer[]): void => void (entries[4] = entries[3]!);
    expect(await saysOf(doubled)).toMatch(/^FAILED at entry 4: it carries another index/);
  });

  it.each<[string, (text: string) => string, RegExp]>([
    ['a duplicate key', (text) => text.replace('"v":1', '"v":1,"v":1'), /not in canonical form/],
    ['white space', (text) => `${text} `, /not in canonical form/],
    [
      'members out of order',
      (text) => `{"v":1,${text.slice(1).replace(',"v":1', '')}`,
      /not in canonical form/,
    ],
    ['another number', (text) => text.replace('"v":1}', '"v":1.0}'), /not in canonical form/],
    ['a lone surrogate', (text) => text.replace('"v":1}', String.raw`"v":1,"w":"\ud800"}`), /surrogates/],
    ['another version', (text) => text.replace('"v":1}', '"v":2}'), /schema version/],
    [
      'a time that goes back',
      (text) => text.replace(/"time":"\d{4}/, '"time":"1999'),
      /before that of the entry ahead/,
    ],
    ['no time', (text) => text.replace(/"time":"[^"]*"/, '"time":"now"'), /has no time/],
    ['another run', (text) => text.replace('"epoch":0', '"epoch":1'), /run of the service/],
  ])('finds %s', async (_name, change, why) => {
    const says = await saysOf(edit(9, change));
    expect(says).toMatch(/^FAILED at entry 9: /);
    expect(says).toMatch(why);
  });

  it('finds an Ethereum signature of another entry, and one that is not there', async () => {
    const swap = (entries: Buffer[]): void => {
      const other = /"signature":"0x[0-9a-f]+"/.exec(entries[signed + 1]!.toString())![0];
      edit(signed, (text) => text.replace(/"signature":"0x[0-9a-f]+"/, other))(entries);
    };
    expect(await saysOf(swap)).toMatch(
      new RegExp(`^FAILED at entry ${signed}: its signature is not that of`),
    );
    const without = edit(signed, (text) => text.replace(/"signature":"0x[0-9a-f]+",/, ''));
    expect(await saysOf(without)).toMatch(
      new RegExp(`^FAILED at entry ${signed}: it has a signature and should not`),
    );
  });

  it('finds a rotation that the old key has not signed', async () => {
    const unsigned = edit(rotated, (text) => text.replace(/(\\n\\n— \S+ .{20})./, '$1A'));
    expect(await saysOf(unsigned)).toMatch(new RegExp(`^FAILED at entry ${rotated}: its note`));
    const other = edit(rotated, (text) => text.replace(/"kind":"audit.key_rotated"/, '"kind":"audit.read"'));
    expect(await saysOf(other)).toMatch(
      /^FAILED at entry \d+: the checkpoint of \d+ entries is not signed by the key in force/,
    );
  });

  it('finds changed data, tiles and checkpoints', async () => {
    const [entry] = await service.entries({ from: long });
    const name = `data/${entry.intent.dataHash}`;
    expect(await saysOf(nothing, { also: replaceFile(name, flip) })).toMatch(
      new RegExp(`^FAILED at entry ${long}: the data beside it`),
    );
    const tile = `tile/1/${formatTileName({ index: 0, width: 1 })}`;
    expect(await saysOf(nothing, { also: replaceFile(tile, flip) })).toMatch(
      /^FAILED at entry 0: tile 0 of level 1/,
    );
    const smaller = checkpoint((note) => note.replace(/\n\d+\n/, '\n250\n'));
    expect(await saysOf(nothing, { also: smaller })).toMatch(/^FAILED at entry/);
    const other = checkpoint((note) => note.replace(/^\S+/, 'countersign.local/other'));
    expect(await saysOf(nothing, { also: other })).toMatch(
      /the checkpoint of \d+ entries is one of another log/,
    );
  });

  it('finds a log that was cut below a trusted checkpoint', async () => {
    const trusted = path.join(makeDirectory(), 'checkpoint');
    writeFileSync(trusted, await fetchBytes('/v1/audit/checkpoint'));
    const says = await saysOf(nothing, { args: ['--trusted', trusted] });
    expect(says).toMatch(/^FAILED at entry \d+: the log is cut/);
  });

  it('finds another log behind the pinned key', async () => {
    const other = await run();
    const vkey = must(await other.admin.get('/v1/audit/key')).text.trim();
    await other.end();
    expect((await python(['--dir', mirror, '--vkey', vkey])).stdout).toMatch(/is one of another log/);
  });
});
