import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newCertificateCredential, newCredential } from '../../src/access/credentials.ts';
import type { AccessReads, AccessWrites, Credential } from '../../src/access/principals.ts';
import type { Role } from '../../src/access/roles.ts';
import { CountersignError } from '../../src/errors.ts';
import { accessTables } from '../../src/storage/sqlite/access.ts';
import { MIGRATIONS } from '../../src/storage/sqlite/schema.ts';

/** Tables that remember what they read, beside others on the same database that have read nothing yet. */
interface Tables {
  readonly db: DatabaseSync;
  readonly kept: AccessReads & AccessWrites;
  fresh(): AccessReads;
}

function open(): Tables {
  const db = new DatabaseSync(':memory:');
  for (const sql of MIGRATIONS) db.exec(sql);
  return { db, kept: accessTables(db), fresh: () => accessTables(db) };
}

const PRINCIPALS = ['p', 'q'];
const MATCHES = ['dns:a.test', 'dns:b.test'];
const TIME = '2026-01-01T00:00:00.000Z';

function fill({ kept }: Tables): string[] {
  for (const id of PRINCIPALS) {
    kept.insertPrincipal({ id, name: id, roles: ['signer'], state: 'enabled', createdAt: TIME });
  }
  const credentials = PRINCIPALS.flatMap((id, i): Credential[] => [
    newCredential(id, { cidrs: ['10.0.0.0/8'], expiresAt: TIME, rotatedFrom: 'x' }).credential,
    newCertificateCredential(id, MATCHES[i]!, {}),
  ]);
  for (const credential of credentials) kept.insertCredential(credential);
  return credentials.map(({ id }) => id);
}

function all(reads: AccessReads, ids: readonly string[]): unknown {
  return [
    ...PRINCIPALS.map((id) => reads.principal(id)),
    ...ids.map((id) => reads.credential(id)),
    ...MATCHES.map((match) => reads.certificates(match)),
  ];
}

const step = fc.oneof(
  fc.record({
    what: fc.constant('roles' as const),
    which: fc.nat(1),
    roles: fc.constantFrom<Role>('signer', 'admin'),
  }),
  fc.record({ what: fc.constant('state' as const), which: fc.nat(1), on: fc.boolean() }),
  fc.record({ what: fc.constant('revoke' as const), which: fc.nat(3) }),
  fc.record({ what: fc.constant('expire' as const), which: fc.nat(3), at: fc.constantFrom(TIME, '2027') }),
  fc.record({ what: fc.constant('add' as const), which: fc.nat(1) }),
  fc.record({ what: fc.constantFrom('begin', 'commit', 'rollback', 'save', 'undo', 'read') }),
);

function apply(
  tables: Tables,
  given: typeof step extends fc.Arbitrary<infer T> ? T : never,
  ids: string[],
): void {
  const { db, kept } = tables;
  if (given.what === 'begin') {
    if (!db.isTransaction) db.exec('BEGIN; SAVEPOINT item');
  } else if (given.what === 'commit' || given.what === 'rollback') {
    if (db.isTransaction) db.exec(given.what);
  } else if (given.what === 'save' || given.what === 'undo') {
    if (db.isTransaction) db.exec(given.what === 'save' ? 'SAVEPOINT item' : 'ROLLBACK TO item');
  } else if ('roles' in given) {
    kept.updatePrincipal(PRINCIPALS[given.which]!, { roles: [given.roles] });
  } else if ('on' in given) {
    kept.updatePrincipal(PRINCIPALS[given.which]!, { state: given.on ? 'enabled' : 'disabled' });
  } else if ('at' in given) {
    kept.expireCredential(ids[given.which]!, given.at);
  } else if (given.what === 'revoke') {
    try {
      kept.revokeCredential(ids[(given as { which: number }).which]!, TIME);
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
    }
  } else if (given.what === 'add') {
    const { which } = given as { which: number };
    const made = newCertificateCredential(PRINCIPALS[which]!, MATCHES[1 - which]!, {});
    kept.insertCredential(made);
  }
}

test('what is remembered is what the tables hold: after every write, commit and rollback', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const tables = open();
      const ids = fill(tables);
      for (const given of steps) {
        apply(tables, given, ids);
        expect(all(tables.kept, ids)).toEqual(all(tables.fresh(), ids));
      }
      tables.db.close();
    }),
    { numRuns: 100 },
  );
});

test('it is remembered: the same object is given again, until something is written', () => {
  const tables = open();
  const [id = ''] = fill(tables);
  const found = tables.kept.credential(id);
  expect(found?.credential.rotatedFrom).toBe('x');
  expect(tables.kept.credential(id)).toBe(found);
  tables.kept.updatePrincipal('q', { state: 'disabled' });
  expect(tables.kept.credential(id)).not.toBe(found);
  expect(tables.kept.credential(id)).toEqual(found);
});

test('who was not there is found when it comes', () => {
  const tables = open();
  fill(tables);
  const { credential } = newCredential('p');
  expect(tables.kept.credential(credential.id)).toBeUndefined();
  expect(tables.kept.certificates('uri:x')).toEqual([]);
  tables.kept.insertCredential(credential);
  tables.kept.insertCredential(newCertificateCredential('p', 'uri:x', {}));
  expect(tables.kept.credential(credential.id)?.principal.id).toBe('p');
  expect(tables.kept.certificates('uri:x')).toHaveLength(1);
});
