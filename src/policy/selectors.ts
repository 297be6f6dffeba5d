import { ROLES } from '../access/roles.ts';
import type { JsonValue } from '../jcs.ts';
import type { KeySelector, PrincipalSelector } from './model.ts';
import type { Quota } from './quota.ts';
import {
  isList,
  listNames,
  quote,
  readList,
  readMapping,
  readNamed,
  readNames,
  readText,
  type Path,
  type Problems,
} from './read.ts';

const KNOWN_ROLES: ReadonlySet<string> = new Set(ROLES);
const PRINCIPAL_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const PRINCIPAL_ID_HINT = 'write the id of a principal, not its name, without wildcard';

/** What a selection of keys may refer to. */
export interface KeyContext {
  readonly problems: Problems;
  readonly quota: Quota;
  readonly keyGroups: ReadonlyMap<string, KeySelector>;
}

/** `keyGroups`: by name, `{ names, tags }`. */
export function readKeyGroups(
  value: JsonValue | undefined,
  problems: Problems,
): ReadonlyMap<string, KeySelector> {
  const groups = new Map<string, KeySelector>();
  for (const [name, group] of readNamed(value, ['keyGroups'], problems)) {
    const path = ['keyGroups', name];
    const members = readMapping(group, path, problems, ['names', 'tags']);
    if (members?.size === 0) problems.add(path, 'is empty; write { tags: [tag] } or { names: [key] }');
    groups.set(name, {
      every: false,
      names: readNames(members?.get('names'), [...path, 'names'], problems),
      tags: readNames(members?.get('tags'), [...path, 'tags'], problems),
    });
  }
  return groups;
}

/** `principals: { roles, ids }`. */
export function readPrincipals(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): PrincipalSelector {
  const members = readMapping(value, path, problems, ['roles', 'ids']);
  if (members?.size === 0) problems.add(path, 'names nobody; write { roles: [signer] }');
  const ids = members?.get('ids');
  return {
    roles: readRoles(members?.get('roles'), [...path, 'roles'], problems),
    ids:
      ids === undefined
        ? new Set()
        : readList(ids, [...path, 'ids'], problems, (item, itemPath) =>
            readText(item, itemPath, problems, PRINCIPAL_ID, PRINCIPAL_ID_HINT),
          ),
  };
}

/** A role that does not exist matches nobody: in a deny rule, a slip of the pen would open what it was to close. */
function readRoles(value: JsonValue | undefined, path: Path, problems: Problems): ReadonlySet<string> {
  if (value === undefined) return new Set();
  return readList(value, path, problems, (item, itemPath) => {
    if (typeof item === 'string' && KNOWN_ROLES.has(item)) return item;
    problems.add(itemPath, `${quote(item)} is not a role; roles are ${ROLES.join(', ')}`);
    return undefined;
  });
}

/** `keys: { groups, names, tags }`, which add up. */
export function readKeys(
  value: JsonValue | undefined,
  path: Path,
  { problems, quota, keyGroups }: KeyContext,
): KeySelector {
  const members = readMapping(value, path, problems, ['groups', 'names', 'tags']);
  if (members?.size === 0) problems.add(path, 'names no key; write { names: ["*"] } for every key');
  const names = members?.get('names');
  const every = names !== undefined && isList(names) && names.includes('*');
  if (every && (names.length > 1 || (members?.size ?? 0) > 1)) {
    problems.add([...path, 'names'], '"*" is every key; remove the other selectors, or remove "*"');
  }
  const selected = {
    names: new Set(every ? [] : readNames(names, [...path, 'names'], problems)),
    tags: new Set(readNames(members?.get('tags'), [...path, 'tags'], problems)),
  };
  const groupsPath = [...path, 'groups'];
  for (const name of readNames(members?.get('groups'), groupsPath, problems)) {
    const group = keyGroups.get(name);
    if (group === undefined) {
      const known = listNames(keyGroups.keys());
      problems.add(groupsPath, `there is no "${name}" under \`keyGroups\` (${known}); define it`);
      continue;
    }
    quota.spend('items in comparisons and selectors', groupsPath, group.names.size + group.tags.size);
    for (const member of group.names) selected.names.add(member);
    for (const tag of group.tags) selected.tags.add(tag);
  }
  return { every, ...selected };
}
