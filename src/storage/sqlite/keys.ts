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
import { namesOfKeys } from './key-names.ts';

/** A version, and the key that it is of. */
interface VersionRow {
  key_id: string;
  key_name: string;
  tags: string;
  key_created_at: string;
  primary_version: number;
  exportable: number;
  canary: number;
  rotation: string | null;
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

const WITH_KEY = `
  SELECT key_id, name AS key_name, tags, keys.created_at AS key_created_at, primary_version, exportable, canary, rotation,
    version, address, public_key, state, origin, key_versions.created_at, last_used_at, superseded_at, compromised_at,
    destroy_at, destroyed_at, state_reason, state_changed_at
  FROM keys JOIN key_versions ON key_id = id`;

/** Which keys the transaction under way has changed, otherwise than by their use. */
export interface ChangedKeys {
  /** Tells of them, whether they were committed or not: what was read meanwhile may be of either. */
  tell(): void;
}

/** Throws where a key could not be read: what is damaged is to be known before anything is signed. */
export function checkKeys(db: DatabaseSync): void {
  // By the index of names, and of each table every page.
  db.prepare(`SELECT sum(length(name)) FROM keys WHERE name > ''`).get();
  db.prepare('SELECT sum(length(tags)) FROM keys').get();
  db.prepare('SELECT sum(length(public_key)) FROM key_versions').get();
}

export function keyTables(db: DatabaseSync): KeyReads & KeyWrites & { readonly changedKeys: ChangedKeys } {
  const allOfKey = db.prepare(`${WITH_KEY} WHERE name = ? ORDER BY version`);
  const all = db.prepare(`${WITH_KEY} ORDER BY name, version`);
  const scheduled = db.prepare('SELECT name FROM keys WHERE rotation IS NOT NULL ORDER BY name');
  const due = db.prepare(
    `SELECT key_name AS keyName, version FROM key_versions
     WHERE state = 'destroy_scheduled' AND destroy_at <= ? ORDER BY key_name, version`,
  );
  const destroyed = db.prepare(`SELECT count(*) AS count FROM key_versions WHERE state = 'destroyed'`);
  const nameOf = db.prepare('SELECT name FROM keys WHERE id = ?');
  const sealedOf = db.prepare('SELECT sealed FROM key_versions WHERE key_id = ? AND version = ?');
  const sealedBefore = db.prepare(
    `SELECT key_id AS keyId, version, address, sealed FROM key_versions
     WHERE (key_id, version) > (?, ?) AND length(sealed) > 0 AND ${TERM_OF_SEALED} < ?
     ORDER BY key_id, version LIMIT ?`,
  );
  const insertKey = db.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
  const insertTag = db.prepare('INSERT OR IGNORE INTO key_tags VALUES (?, ?)');
  const insertVersion = db.prepare(
    `INSERT INTO key_versions (key_id, key_name, version, address, public_key, origin, created_at, last_used_at, sealed,
       state, superseded_at, compromised_at, destroy_at, destroyed_at, state_reason, state_changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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

  const listeners: ((name: string) => void)[] = [];
  const changed = new Set<string>();

  const readKey = (name: string): Key | undefined => {
    const rows = allOfKey.all(name) as unknown as VersionRow[];
    return rows[0] && toKey(rows[0], rows);
  };
  /** Throws `not_found`. */
  const change = (keyId: string): string => {
    const row = nameOf.get(keyId) as { name: string } | undefined;
    if (row === undefined) throw new CountersignError('not_found', 'there is no such key');
    changed.add(row.name);
    return row.name;
  };

  const addVersion = (keyId: string, version: KeyVersion, sealed: Uint8Array): void => {
    const { address, publicKey, origin, createdAt, lastUsedAt = null } = version;
    const key = [keyId, change(keyId)] as const;
    const pair = [
      ...key,
      version.version,
      address,
      publicKey,
      origin,
      createdAt,
      lastUsedAt,
      sealed,
    ] as const;
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
    changedKeys: {
      tell: () => {
        const names = [...changed];
        changed.clear();
        for (const name of names) for (const listener of listeners) listener(name);
      },
    },
    onKeyChange: (listener) => void listeners.push(listener),

    keys: () => [...byKey(all.iterate() as Iterable<unknown> as Iterable<VersionRow>)],
    key: readKey,
    findKeys: (filter, after, limit) =>
      namesOfKeys(db, filter, after, limit)
        .map(readKey)
        .filter((key) => key !== undefined),
    scheduledKeys: () => (scheduled.all() as { name: string }[]).map(({ name }) => name),
    dueForDestruction: (time) => due.all(time) as { keyName: string; version: number }[],
    destroyedVersions: () => (destroyed.get() as { count: number }).count,

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
      for (const tag of tags) insertTag.run(tag, name);
      for (const version of key.versions) addVersion(id, version, sealed);
    },

    addVersion,

    markUsed: (keyId, version, state, time) => {
      if (!SIGNING_STATES.includes(state) || markUsed.run(time, keyId, version, state).changes !== 1)
        throw new CountersignError('key_state', `the key version is not ${state} any more`);
    },

    setKeyState: (keyId, version, from, standing) => {
      change(keyId);
      const where = [keyId, version, JSON.stringify(from)] as const;
      if (setState.run(...standingColumns(standing), ...where).changes !== 1)
        throw new CountersignError('key_state', `the key version is not ${from.join(' or ')}`);
    },

    setPrimary: (keyId, from, to) => {
      change(keyId);
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
      change(keyId);
      setRotation.run(scheduleText(schedule), keyId);
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

/** From rows in the order of keys. Of a hundred thousand keys, the rows would take more memory than the keys. */
function* byKey(rows: Iterable<VersionRow>): Generator<Key> {
  let own: VersionRow[] = [];
  for (const row of rows) {
    if (own[0] !== undefined && own[0].key_id !== row.key_id) {
      yield toKey(own[0], own);
      own = [];
    }
    own.push(row);
  }
  if (own[0] !== undefined) yield toKey(own[0], own);
}

function toKey(row: VersionRow, versions: readonly VersionRow[]): Key {
  return {
    id: row.key_id,
    name: row.key_name,
    tags: JSON.parse(row.tags) as string[],
    createdAt: row.key_created_at,
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
