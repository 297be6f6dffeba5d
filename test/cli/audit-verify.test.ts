import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafHash } from '../../src/audit/tree/merkle.ts';
import { formatVkey } from '../../src/audit/tree/note.ts';
import { expectStatus, makeDirectory, startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, type Cli, type Ran } from './run.ts';

/** More than the verifier reads at once, over both of its ways. */
const SIGNED = 1_200;

interface Report {
  readonly ok: boolean;
  readonly size: number;
  readonly signatures: number;
  readonly pinned: boolean;
  readonly vkey: string;
  readonly firstBad?: { readonly index: number; readonly through?: number; readonly problem: string };
}

let service: RunningService;
let cli: Cli;
let vkey: string;
let directory: string;

beforeAll(async () => {
  service = await startService();
  directory = makeDirectory();
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
  for (let done = 0; done < SIGNED; done += 600) await signMessages(600);
  vkey = (await cli('audit key')).stdout.trimEnd();
});
afterAll(async () => await service.stop());

async function signMessages(count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, i) => ({
    key: 'demo',
    operation: 'message',
    message: `m${i}`,
  }));
  expectStatus(200, await service.demo.post('/v1/sign/batch', { items }));
}

/** The two ways to read one log. */
async function bothWays(flags = ''): Promise<Ran[]> {
  return await Promise.all([cli(`audit verify --data ${service.data}${flags}`), cli(`audit verify${flags}`)]);
}

function failureOf({ code, stdout }: Ran): Report['firstBad'] {
  expect(code).toBe(1);
  return (JSON.parse(stdout) as Report).firstBad;
}

describe('a log in order', () => {
  it('is verified offline and over the API, with the same result', async () => {
    await cli('audit checkpoint');
    const reports = (await bothWays(' --json')).map((ran) => jsonOf(ran) as Report);
    for (const report of reports) {
      expect(report).toMatchObject({
        ok: true,
        signatures: SIGNED,
        signaturesChecked: true,
        pinned: false,
        vkey,
      });
    }
    // Over the API it is read, and that is an entry.
    expect(reports.map(Object.keys)).toEqual([Object.keys(reports[0]!), Object.keys(reports[0]!)]);
  });

  it('is reported in lines, with the advice to pin the key until it is pinned', async () => {
    const { code, stdout, stderr } = await cli(`audit verify --data ${service.data}`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^OK\nentries +\d+\nroot +[0-9a-f]{64}\ncheckpoint +of \d+ entries, root [0-9a-f]{64}\n/,
    );
    expect(stdout).toContain(`\nverifier key taken from the log itself: pin it with --vkey '${vkey}'\n`);
    const pinned = await cli(`audit verify --vkey ${vkey}`);
    expect(pinned.stdout).toMatch(/^OK\n/);
    expect(pinned.stdout).not.toContain('pin it');
  });

  it('is verified while it grows', async () => {
    const stop = new AbortController();
    const grow = async (): Promise<void> => {
      while (!stop.signal.aborted) await signMessages(1);
    };
    const growth = grow();
    const rounds = [...(await bothWays()), ...(await bothWays())];
    stop.abort();
    await growth;
    expect(rounds.map(({ stdout }) => stdout.split('\n')[0])).toEqual(['OK', 'OK', 'OK', 'OK']);
  });

  it('is not one that another key signed', async () => {
    const [name = ''] = vkey.split('+');
    const other = formatVkey(name, new Uint8Array(32).fill(7));
    for (const ran of await bothWays(` --json --vkey ${other}`)) {
      expect(failureOf(ran)).toMatchObject({ problem: 'checkpoint_signature' });
    }
    expect(await cli('audit verify --vkey nonsense')).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('without signatures', () => {
  it('says that none were checked', async () => {
    for (const ran of await bothWays(' --no-signatures --json')) {
      expect(jsonOf(ran)).toMatchObject({ ok: true, signaturesChecked: false });
    }
    const { stdout } = await cli('audit verify --no-signatures');
    expect(stdout).toMatch(/\nsignatures checked +none of \d+, as asked with --no-signatures\n/);
  });
});

describe('a log whose key is rotated', () => {
  it('verifies with the key that was pinned before, and with none', async () => {
    const ran = await cli('audit rotate-key --reason yearly');
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const now = (await cli('audit key')).stdout.trimEnd();
    expect(now).not.toBe(vkey);
    expect(ran.stdout).toContain(`verifier key before  ${vkey}\nverifier key now     ${now}\n`);
    for (const pin of ['', ` --vkey ${vkey}`]) {
      for (const verified of await bothWays(`${pin} --json`)) {
        const report = { ok: true, vkey, keyRotations: 1, currentVkey: now, checkpointsNotChecked: 0 };
        expect(jsonOf(verified)).toMatchObject(report);
      }
    }
    const later = await cli(`audit verify --vkey ${now}`);
    expect(later.stdout).toMatch(
      /\nkey rotations +1, in force is .*; \d+ checkpoints by keys before the pinned one were not/,
    );
  });
});

describe('what cannot be verified', () => {
  it('is said before any work', async () => {
    const both = await cli(`audit verify --data ${service.data} --url ${service.url}`);
    expect(both).toMatchObject({ code: 1, stderr: expect.stringContaining('one of them') as string });
    const nothing = await cli(`audit verify --data ${directory}`);
    expect(nothing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no readable database') as string,
    });
    const foreign = makeDirectory();
    new DatabaseSync(path.join(foreign, 'countersign.db')).close();
    const empty = await cli(`audit verify --data ${foreign}`);
    expect(empty).toMatchObject({ code: 1, stderr: expect.stringContaining('holds no audit log') as string });
    const trusted = await cli('audit verify --trusted /nonexistent/checkpoint');
    expect(trusted).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no such file') as string,
    });
    const signer = cliFor(service.url, path.join(service.data, 'demo.token'));
    expect((await signer('audit verify')).code).toBe(3);
  });
});

describe('a log that was rolled back', () => {
  it('is only noticed by whoever kept a checkpoint', async () => {
    const kept = path.join(directory, 'checkpoint');
    const copy = makeDirectory();
    cpSync(service.data, copy, { recursive: true });
    await cli('key create later');
    const saved = await cli(`audit verify --save ${kept}`);
    expect(saved.code).toBe(0);
    expect(readFileSync(kept, 'utf8')).toMatch(/^countersign\.local\/[0-9a-f]{16}\n\d+\n/);
    for (const ran of await bothWays(` --trusted ${kept}`)) expect(ran.code).toBe(0);

    expect((await cli(`audit verify --data ${copy}`)).stdout).toMatch(/^OK\n/);
    const report = await cli(`audit verify --data ${copy} --trusted ${kept} --save ${kept} --json`);
    expect(failureOf(report)).toMatchObject({ problem: 'log_cut' });
    // What was kept stays what it was.
    for (const ran of await bothWays(` --trusted ${kept}`)) expect(ran.code).toBe(0);

    const forged = path.join(directory, 'forged');
    writeFileSync(forged, readFileSync(kept, 'utf8').replace(/\n\d+\n/, '\n5\n'));
    const refused = await cli(`audit verify --data ${service.data} --trusted ${forged}`);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not signed by') as string });
  });
});

describe('a log that was edited', () => {
  /** Changes one entry's bytes as `change` does; with the leaf hash of the new bytes, or the old one. */
  function edit(index: number, change: (entry: string) => string, withLeafHash: boolean): void {
    const db = new DatabaseSync(path.join(service.data, 'countersign.db'));
    db.exec('PRAGMA busy_timeout = 5000');
    const { entry } = db.prepare('SELECT entry FROM audit_entries WHERE idx = ?').get(index) as {
      entry: Uint8Array;
    };
    const changed = Buffer.from(change(Buffer.from(entry).toString('utf8')), 'utf8');
    expect(changed).not.toEqual(Buffer.from(entry));
    db.prepare('UPDATE audit_entries SET entry = ? WHERE idx = ?').run(changed, index);
    if (withLeafHash) {
      db.prepare('UPDATE audit_entries SET leaf_hash = ? WHERE idx = ?').run(leafHash(changed), index);
    }
    db.close();
  }
  const rename = (entry: string): string => entry.replace('"name":"demo"', '"name":"dema"');
  const restore = (entry: string): string => entry.replace('"name":"dema"', '"name":"demo"');

  it('names the entry whose byte was changed, both ways', async () => {
    edit(1_003, rename, false);
    for (const ran of await bothWays()) {
      expect(ran.code).toBe(1);
      expect(ran.stdout).toBe(
        'FAILED at entry 1003: leaf_hash\nentry 1003 was changed: its bytes do not have the leaf hash stored with it\n',
      );
    }
    edit(1_003, restore, false);
    for (const ran of await bothWays()) expect(ran.code).toBe(0);
  });

  it('names the interval when the leaf hash was changed along with it', async () => {
    edit(3, rename, true);
    for (const ran of await bothWays(' --json')) {
      const bad = failureOf(ran);
      expect(bad?.problem).toBe('checkpoint_root');
      expect(bad?.index).toBeLessThanOrEqual(3);
      expect(bad?.through).toBeGreaterThanOrEqual(3);
    }
    expect((await cli(`audit verify`)).stdout).toMatch(/^FAILED at entries \d+ to \d+: checkpoint_root\n/);
    edit(3, restore, true);
    for (const ran of await bothWays()) expect(ran.code).toBe(0);
  });
});
