import type { DatabaseSync } from 'node:sqlite';
import type { KeyFilter } from '../../keystore/keys.ts';

/** Where names stand in their order, beside what is wanted. */
const SOURCES = {
  address: 'SELECT key_name AS name FROM key_versions WHERE address = $address',
  // Only with the second condition the index fits.
  state: `SELECT key_name AS name FROM key_versions WHERE state = $state AND state <> 'enabled'`,
  tag: 'SELECT key_name AS name FROM key_tags WHERE tag = $tag',
  all: 'SELECT name FROM keys',
};

const CONDITIONS = {
  state:
    'EXISTS (SELECT 1 FROM keys k JOIN key_versions v ON v.key_id = k.id WHERE k.name = found.name AND v.state = $state)',
  tag: 'EXISTS (SELECT 1 FROM key_tags t WHERE t.tag = $tag AND t.key_name = found.name)',
};

/** Names of keys behind `after`, in order. They come from where the fewest are; what else is wanted, each is asked for. */
export function namesOfKeys(db: DatabaseSync, filter: KeyFilter, after: string, limit: number): string[] {
  const source = sourceOf(filter);
  const others = (['state', 'tag'] as const).filter(
    (field) => field !== source && filter[field] !== undefined,
  );
  const conditions = ['name > $after', ...others.map((field) => CONDITIONS[field])].join(' AND ');
  const select = `SELECT DISTINCT name FROM (${SOURCES[source]}) AS found WHERE ${conditions} ORDER BY name LIMIT $limit`;
  const { address, state, tag } = filter;
  const given = {
    ...(address !== undefined && { $address: address.toLowerCase() }),
    ...(state !== undefined && { $state: state }),
    ...(tag !== undefined && { $tag: tag }),
  };
  const rows = db.prepare(select).all({ ...given, $after: after, $limit: limit });
  return (rows as { name: string }[]).map(({ name }) => name);
}

/** Nearly all are enabled. */
function sourceOf({ address, state, tag }: KeyFilter): keyof typeof SOURCES {
  if (address !== undefined) return 'address';
  if (state !== undefined && state !== 'enabled') return 'state';
  return tag === undefined ? 'all' : 'tag';
}
