import type { DatabaseSync } from 'node:sqlite';
import type { KeyFilter } from '../../keystore/keys.ts';

/** Where names stand in their order, beside what is wanted. */
const SOURCES = {
  address: 'SELECT key_name AS name FROM key_versions WHERE address = $address',
  // Only this makes the index fit, and nearly all are enabled.
  unusual: `SELECT key_name AS name FROM key_versions WHERE state = $state AND state <> 'enabled'`,
  tag: 'SELECT key_name AS name FROM key_tags WHERE tag = $tag',
  all: 'SELECT name FROM keys',
};

const CONDITIONS = {
  address: 'EXISTS (SELECT 1 FROM key_versions v WHERE v.address = $address AND v.key_name = found.name)',
  state:
    'EXISTS (SELECT 1 FROM keys k JOIN key_versions v ON v.key_id = k.id WHERE k.name = found.name AND v.state = $state)',
  tag: 'EXISTS (SELECT 1 FROM key_tags t WHERE t.tag = $tag AND t.key_name = found.name)',
};

const FIELDS = ['address', 'state', 'tag'] as const;

/** Names of keys behind `after`, in order. What is rare is looked for first. */
export function namesOfKeys(
  db: DatabaseSync,
  filter: KeyFilter,
  after: string,
  limit: number,
): readonly string[] {
  const wanted = FIELDS.filter((field) => filter[field] !== undefined);
  const conditions = ['name > $after', ...wanted.map((field) => CONDITIONS[field])].join(' AND ');
  const from = `(${SOURCES[sourceOf(filter)]}) AS found`;
  const select = `SELECT DISTINCT name FROM ${from} WHERE ${conditions} ORDER BY name LIMIT $limit`;
  const values = { ...filter, address: filter.address?.toLowerCase() };
  const given = wanted.map((field) => [`$${field}`, values[field] ?? null] as const);
  return (
    db.prepare(select).all({ ...Object.fromEntries(given), $after: after, $limit: limit }) as {
      name: string;
    }[]
  ).map(({ name }) => name);
}

function sourceOf({ address, state, tag }: KeyFilter): keyof typeof SOURCES {
  if (address !== undefined) return 'address';
  if (state !== undefined && state !== 'enabled') return 'unusual';
  return tag === undefined ? 'all' : 'tag';
}
