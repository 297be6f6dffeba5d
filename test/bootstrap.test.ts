import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditLog } from '../src/audit/log.ts';
import { loadNewestPolicy, POLICY_FILE } from '../src/bootstrap.ts';
import { PolicyInForce } from '../src/policy/policy.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../src/storage/sqlite/storage.ts';

let folder: string;
let storage: Storage;
let log: AuditLog<StorageTx>;
let notes: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'bootstrap-'));
  storage = openSqliteStorage(folder, () => 'example.org/log');
  log = new AuditLog(storage);
});

afterEach(() => {
  storage.close();
  rmSync(folder, { recursive: true });
});

const file = (): string => path.join(folder, POLICY_FILE);

/** The starter with another revision. */
function writeRevision(revision: number, change = ''): void {
  writeFileSync(
    file(),
    readFileSync(file(), 'utf8').replace(/^revision: \d+$/m, `revision: ${revision}`) + change,
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

  it('follows the file to a higher revision, with an entry', async () => {
    await load();
    writeRevision(7);
    expect((await load()).current().revision).toBe(7);
    expect(log.size).toBe(2);
  });

  it('does not go back to a lower one', async () => {
    await load();
    writeRevision(7);
    await load();
    expect(notes).toEqual([]);
    writeRevision(3);
    expect((await load()).current().revision).toBe(7);
    expect(notes).toEqual(['policy.yaml has revision 3 and is not used: revision 7 is in force']);
  });

  it('does not take two policies of one revision', async () => {
    await load();
    writeFileSync(file(), readFileSync(file(), 'utf8').replaceAll('"1 ether"', '"2 ether"'));
    const inForce = await load();
    expect(inForce.problem).toMatch(/its revision is still 1: raise it/);
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
