import type { DatabaseSync } from 'node:sqlite';
import type { Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import type {
  Key,
  KeyReads,
  KeyVersion,
  KeyWrites,
  RotationSchedule,
  SealedVersion,
} from '../../keystore/keys.ts';
import { SIGNING_STATES, type KeyVersionState, type Standing } from '../../keystore/life-cycle.ts';
import { isUniqueViolation } from './database.ts';

interface KeyRow {
  id: string;
  name: string;
  tags: string;
  created_at: string;
  primary_version: number;
  exportable: number;
  canary: number;
  rotation: string | null;
}

interface VersionRow {
  key_id: string;
  version: number;
  address: Hex;
  public_key: Hex;
  state: KeyVersionState;
  origin: KeyVersion['origin'];
  created_at: string;
  last_used_at: string | null;
  superseded_at: string | null;
  compromised_at: string | null;
  destroy_at: string | null;
  destroyed_at: string | null;
  state_reason: string | null;
  state_changed_at: string | null;
}

/** A sealed key is a byte of format, then its term as a big-endian u32 (keystore/envelope.ts). */
const TERM_OF_SEALED = 'substr(sealed, 2, 4)';

const NOTHING = new Uint8Array(0);

export function keyTables(db: DatabaseSync): KeyReads & KeyWrites {
  const allKeys = db.prepare('SELECT * FROM keys ORDER BY id');
  const allVersions = db.prepare(
    `SELECT key_id, version, address, public_key, state, origin, created_at, last_used_at, superseded_at,
       compromised_at, destroy_at, destroyed_at, state_reason, state_changed_at
     FROM key_versions ORDER BY key_id, version`,
  );
  const sealedOf = db.prepare('SELECT sealed FROM key_versions WHERE key_id = ? AND version = ?');
  const sealedBefore = db.prepare(
    `SELECT key_id AS keyId, version, address, sealed FROM key_versions
     WHERE (key_id, version) > (?, ?) AND length(sealed) > 0 AND ${TERM_OF_SEALED} < ?
     ORDER BY key_id, version LIMIT ?`,
  );
  const insertKey = db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const insertVersion = db.prepare(
    `INSERT INTO key_versions (key_id, version, address, public_key, origin, created_at, last_used_at, sealed,
       state, superseded_at, compromised_at, destroy_at, destroyed_at, state_reason, state_changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const markUsed = db.prepare(
    'UPDATE key_versions SET last_used_at = ? WHERE key_id = ? AND version = ? AND state = ?',
  );
  const setState = db.prepare(
    `UPDATE key_versions SET state = ?1, superseded_at = ?2, compromised_at = ?3, destroy_at = ?4, destroyed_at = ?5,
       state_reason = ?6, state_changed_at = ?7
     WHERE key_id = ?8 AND version = ?9 AND state IN (SELECT value FROM json_each(?10))
       -- Only one that drains becomes again what it was before another took its place.
       AND (superseded_at IS NULL OR ?2 IS NOT NULL OR state = 'draining')`,
  );
  const setPrimary = db.prepare(
    `UPDATE keys SET primary_version = ?1 WHERE id = ?2 AND primary_version = ?3
       AND EXISTS (SELECT 1 FROM key_versions WHERE key_id = ?2 AND version = ?1 AND state = 'enabled')`,
  );
  const setSealed = db.prepare('UPDATE key_versions SET sealed = ? WHERE key_id = ? AND version = ?');
  const replaceSealed = db.prepare(
    'UPDATE key_versions SET sealed = ? WHERE key_id = ? AND version = ? AND sealed = ?',
  );
  const setRotation = db.prepare('UPDATE keys SET rotation = ? WHERE id = ?');

  /** Row by row, in one order: of a hundred thousand keys, the rows would take more memory than the keys. */
  function* eachKey(): Generator<Key> {
    const versions = allVersions.iterate() as IterableIterator<unknown> as Iterator<VersionRow, undefined>;
    let next = versions.next();
    for (const row of allKeys.iterate() as IterableIterator<unknown> as IterableIterator<KeyRow>) {
      const own: VersionRow[] = [];
      for (; next.value?.key_id === row.id; next = versions.next()) own.push(next.value);
      yield toKey(row, own);
    }
  }

  const addVersion = (keyId: string, version: KeyVersion, sealed: Uint8Array): void => {
    const { address, publicKey, origin, createdAt, lastUsedAt = null } = version;
    const pair = [keyId, version.version, address, publicKey, origin, createdAt, lastUsedAt, sealed] as const;
    try {
      insertVersion.run(...pair, ...standingColumns(version));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const message = (error as Error).message.includes('address')
        ? `the key of address ${address} is kept here already`
        : `the key has a version ${version.version} already`;
      throw new CountersignError('conflict', message);
    }
  };

  return {
    keys: () => [...eachKey()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    eachKey,

    sealedKey: (keyId, version) => {
      const row = sealedOf.get(keyId, version) as { sealed: Uint8Array } | undefined;
      if (row === undefined) throw new CountersignError('not_found', 'there is no such key version');
      if (row.sealed.length === 0)
        throw new CountersignError('key_state', 'the key version was destroyed: there is nothing to open');
      return row.sealed;
    },

    sealedBefore: (term, after, limit) => {
      const newer = Buffer.alloc(4);
      newer.writeUInt32BE(term);
      const rows = sealedBefore.all(after?.keyId ?? '', after?.version ?? 0, newer, limit);
      return rows as unknown as SealedVersion[];
    },

    insertKey: (key, sealed) => {
      const { id, name, tags, createdAt, primary, exportable, canary, rotation } = key;
      const flags = [exportable ? 1 : 0, canary ? 1 : 0, scheduleText(rotation)] as const;
      try {
        insertKey.run(id, name, JSON.stringify(tags), createdAt, primary, ...flags);
      } catch (error) {
        throw isUniqueViolation(error)
          ? new CountersignError('conflict', `there is a key named ${name} already`)
          : error;
      }
      for (const version of key.versions) addVersion(id, version, sealed);
    },

    addVersion,

    markUsed: (keyId, version, state, time) => {
      if (!SIGNING_STATES.includes(state) || markUsed.run(time, keyId, version, state).changes !== 1)
        throw new CountersignError('key_state', `the key version is not ${state} any more`);
    },

    setKeyState: (keyId, version, from, standing) => {
      const where = [keyId, version, JSON.stringify(from)] as const;
      if (setState.run(...standingColumns(standing), ...where).changes !== 1)
        throw new CountersignError('key_state', `the key version is not ${from.join(' or ')}`);
    },

    setPrimary: (keyId, from, to) => {
      if (sealedOf.get(keyId, to) === undefined)
        throw new CountersignError('not_found', `the key has no version ${to}`);
      if (setPrimary.run(to, keyId, from).changes !== 1)
        throw new CountersignError(
          'conflict',
          `version ${from} is not the primary any more, or version ${to} is not enabled`,
        );
    },

    eraseSealed: (keyId, version) => {
      if (setSealed.run(NOTHING, keyId, version).changes !== 1)
        throw new CountersignError('not_found', 'there is no such key version');
    },

    replaceSealed: (keyId, version, before, after) => {
      if (replaceSealed.run(after, keyId, version, before).changes !== 1)
        throw new CountersignError('conflict', 'the sealed key is not what it was');
    },

    setRotationSchedule: (keyId, schedule) => {
      if (setRotation.run(scheduleText(schedule), keyId).changes !== 1)
        throw new CountersignError('not_found', 'there is no such key');
    },
  };
}

/** In the order of the columns from `state` on. */
function standingColumns(standing: Standing): [KeyVersionState, ...(string | null)[]] {
  const { state, supersededAt, compromisedAt, destroyAt, destroyedAt, stateReason, stateChangedAt } =
    standing;
  const rest = [supersededAt, compromisedAt, destroyAt, destroyedAt, stateReason, stateChangedAt];
  return [state, ...rest.map((value) => value ?? null)];
}

function scheduleText(schedule: RotationSchedule | undefined): string | null {
  return schedule === undefined ? null : JSON.stringify(schedule);
}

function toKey(row: KeyRow, versions: readonly VersionRow[]): Key {
  return {
    id: row.id,
    name: row.name,
    tags: JSON.parse(row.tags) as string[],
    createdAt: row.created_at,
    primary: row.primary_version,
    exportable: row.exportable === 1,
    canary: row.canary === 1,
    ...(row.rotation !== null && { rotation: JSON.parse(row.rotation) as RotationSchedule }),
    versions: versions.map(toVersion),
  };
}

function toVersion(row: VersionRow): KeyVersion {
  return {
    version: row.version,
    address: row.address,
    publicKey: row.public_key,
    state: row.state,
    origin: row.origin,
    createdAt: row.created_at,
    ...(row.last_used_at !== null && { lastUsedAt: row.last_used_at }),
    ...(row.superseded_at !== null && { supersededAt: row.superseded_at }),
    ...(row.compromised_at !== null && { compromisedAt: row.compromised_at }),
    ...(row.destroy_at !== null && { destroyAt: row.destroy_at }),
    ...(row.destroyed_at !== null && { destroyedAt: row.destroyed_at }),
    ...(row.state_reason !== null && { stateReason: row.state_reason }),
    ...(row.state_changed_at !== null && { stateChangedAt: row.state_changed_at }),
  };
}
