import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../src/audit/log.ts';
import { loadNewestPolicy, POLICY_FILE } from '../src/bootstrap.ts';
import { compilePolicy, PolicyInForce, type StoredPolicy } from '../src/policy/policy.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../src/storage/sqlite/storage.ts';
import { SERVICE } from './audit/memory-log.ts';

let folder: string;
let storage: Storage;
let log: AuditLog<StorageTx>;
let notes: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'bootstrap-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  log = new AuditLog(storage, SERVICE);
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

const file = (): string => path.join(folder, POLICY_FILE);

function rewrite(before: string | RegExp, after: string): void {
  writeFileSync(file(), readFileSync(file(), 'utf8').replaceAll(before, after));
}

async function store(policy: StoredPolicy): Promise<void> {
  await log.record({ kind: 'policy.loaded', outcome: 'done' }, (tx) =>
    tx.insertPolicy(policy, new Date().toISOString()),
  );
}

async function load(): Promise<PolicyInForce> {
  const inForce = new PolicyInForce();
  notes = await loadNewestPolicy(folder, storage.reads, log, inForce);
  return inForce;
}

describe('the policy at start', () => {
  it('is a starter of revision 1 where there was none', async () => {
    const inForce = await load();
    expect(inForce.problem).toBeUndefined();
    expect(inForce.current().revision).toBe(1);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(storage.reads.newestPolicy()).toMatchObject({ revision: 1, hash: inForce.current().hash });
    expect(log.size).toBe(1);
  });

  it('stays as it is while the file does', async () => {
    await load();
    const again = await load();
    expect(again.current().revision).toBe(1);
    expect(log.size).toBe(1);
  });

  it('stays as it is when comments and layout change', async () => {
    await load();
    rewrite(/^revision: 1$/gm, '# as before\nrevision:   1');
    expect((await load()).current().revision).toBe(1);
    expect(notes).toEqual([]);
  });

  it.each([
    ['another revision', /^revision: \d+$/gm, 'revision: 7'],
    ['other content', '"1 ether"', '"2 ether"'],
    ['damage', /^revision: \d+$/gm, 'revision: seven'],
  ])('is not the file’s any more after the first start: %s is a note', async (_, before, after) => {
    const first = (await load()).current();
    rewrite(before, after);
    const inForce = await load();
    expect(inForce.current().hash).toBe(first.hash);
    expect(notes).toEqual([
      `policy.yaml differs from the policy in force (revision 1) and is not used: propose it with countersign policy propose ${file()}`,
    ]);
    expect(log.size).toBe(1);
  });

  it('is the newest one in the database', async () => {
    const first = (await load()).current();
    const json = first.json.replace('"revision":1', '"revision":2');
    const { hash } = compilePolicy(JSON.parse(json));
    await store({ revision: 2, document: json, hash, parentHash: first.hash, suites: [] });
    expect((await load()).current().hash).toBe(hash);
  });

  it.each([
    ['its hash', { hash: '00'.repeat(32) }],
    ['its revision', { revision: 9 }],
    ['its content', { document: '{"apiVersion":"countersign/policy/v1","revision":2,"rules":[]}' }],
    ['its form', { document: '{"apiVersion":"countersign/policy/v1","revision":2}' }],
  ])('is not used when %s was changed in the database: nothing is signed', async (_, change) => {
    const first = (await load()).current();
    const document = first.json.replace('"revision":1', '"revision":2');
    const { hash } = compilePolicy(JSON.parse(document));
    await store({ revision: 2, document, hash, parentHash: first.hash, suites: [], ...change });
    const inForce = await load();
    expect(inForce.problem).toBeDefined();
    expect(() => inForce.current()).toThrow(/no policy in force/);
  });

  it('is needed: a damaged file stops signing, not the service', async () => {
    writeFileSync(file(), 'apiVersion: countersign/policy/v1\nrevision: one\n');
    const inForce = await load();
    expect(inForce.problem).toMatch(/policy\.yaml/);
    expect(() => inForce.evaluate({} as never)).toThrow(/nothing is signed/);
  });

  it('survives the loss of the file', async () => {
    await load();
    rmSync(file());
    expect((await load()).current().revision).toBe(1);
  });
});
