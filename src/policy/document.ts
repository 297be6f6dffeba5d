import type { Hex } from '../bytes.ts';
import { OPERATIONS, type Operation } from '../intent/intent.ts';
import { ROLES } from '../access/roles.ts';
import type { JsonValue } from '../jcs.ts';
import { findFaults } from './check.ts';
import { readOneAddress, type Lists } from './comparison.ts';
import { readCondition } from './condition.ts';
import type { KeySelector, PrincipalSelector, Rule } from './model.ts';
import {
  NAME,
  NAME_HINT,
  readList,
  readMapping,
  readNamed,
  readNames,
  readText,
  type Path,
  type Problems,
} from './read.ts';

export const API_VERSION = 'countersign/policy/v1';

/** The JSON form of a policy, as it was written: what is hashed, compared and stored. */
export interface PolicyDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly revision: number;
  readonly lists?: { readonly [name: string]: readonly string[] };
  readonly keyGroups?: {
    readonly [name: string]: { readonly names?: readonly string[]; readonly tags?: readonly string[] };
  };
  readonly rules: readonly RuleDocument[];
}

export interface RuleDocument {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  readonly principals?: { readonly roles?: readonly string[]; readonly ids?: readonly string[] };
  readonly keys?: {
    readonly groups?: readonly string[];
    readonly names?: readonly string[];
    readonly tags?: readonly string[];
  };
  readonly operations: readonly Operation[];
  readonly when?: JsonValue;
}

const DOCUMENT = {
  known: ['apiVersion', 'revision', 'lists', 'keyGroups', 'rules'],
  later: ['tokens', 'abis', 'approvals', 'limits', 'breakGlass', 'change'],
};

const RULE = {
  known: ['id', 'effect', 'principals', 'keys', 'operations', 'when'],
  later: ['hard', 'mode', 'source', 'draining', 'validity', 'windows', 'approval'],
};

const KNOWN_ROLES: ReadonlySet<string> = new Set(ROLES);
const PRINCIPAL_ID = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$/;
const PRINCIPAL_ID_HINT = 'write the id of a principal, not its name, without wildcard';

interface Definitions {
  readonly lists: Lists;
  readonly keyGroups: ReadonlyMap<string, KeySelector>;
}

/** Reads and checks a whole document; every mistake lands in `problems`. */
export function readDocument(value: JsonValue, problems: Problems): readonly Rule[] {
  const members = readMapping(value, [], problems, DOCUMENT);
  if (members === undefined) return [];
  if (members.get('apiVersion') !== API_VERSION) {
    problems.add(['apiVersion'], `must be ${API_VERSION}; another version has another meaning`);
  }
  const revision = members.get('revision');
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 1) {
    problems.add(['revision'], 'must be a whole number from 1, without quotes');
  }
  const definitions = {
    lists: readLists(members.get('lists'), problems),
    keyGroups: readKeyGroups(members.get('keyGroups'), problems),
  };
  return readRules(members.get('rules'), definitions, problems);
}

function readLists(value: JsonValue | undefined, problems: Problems): Lists {
  const lists = new Map<string, ReadonlySet<Hex>>();
  for (const [name, items] of readNamed(value, ['lists'], problems)) {
    const read = readList(items, ['lists', name], problems, (item, path) =>
      readOneAddress(item, path, problems),
    );
    lists.set(name, read);
  }
  return lists;
}

function readKeyGroups(value: JsonValue | undefined, problems: Problems): ReadonlyMap<string, KeySelector> {
  const groups = new Map<string, KeySelector>();
  for (const [name, group] of readNamed(value, ['keyGroups'], problems)) {
    const path = ['keyGroups', name];
    const members = readMapping(group, path, problems, { known: ['names', 'tags'] });
    if (members?.size === 0) problems.add(path, 'is empty; write { tags: [tag] } or { names: [key] }');
    groups.set(name, {
      every: false,
      names: readNames(members?.get('names'), [...path, 'names'], problems),
      tags: readNames(members?.get('tags'), [...path, 'tags'], problems),
    });
  }
  return groups;
}

function readRules(value: JsonValue | undefined, definitions: Definitions, problems: Problems): Rule[] {
  const rules: Rule[] = [];
  if (!Array.isArray(value)) {
    problems.add(['rules'], 'must be a list of rules; write [] to deny everything');
    return rules;
  }
  const ids = new Set<string>();
  for (const [index, item] of (value as readonly JsonValue[]).entries()) {
    const path = ['rules', index];
    const before = problems.count;
    const rule = readRule(item, path, definitions, problems);
    if (rule === undefined) continue;
    if (ids.has(rule.id))
      problems.add([...path, 'id'], `"${rule.id}" is the id of an earlier rule; rename one`);
    ids.add(rule.id);
    rules.push(rule);
    // What a half-read rule lacks would be reported for the wrong reason.
    if (problems.count > before) continue;
    for (const fault of findFaults(rule, path)) problems.add(fault.path, fault.message, 'key');
  }
  return rules;
}

function readRule(
  value: JsonValue,
  path: Path,
  definitions: Definitions,
  problems: Problems,
): Rule | undefined {
  const members = readMapping(value, path, problems, RULE);
  if (members === undefined) return undefined;
  const id = readText(members.get('id'), [...path, 'id'], problems, NAME, NAME_HINT);
  const effect = readEffect(members.get('effect'), [...path, 'effect'], problems);
  const operations = readOperations(members.get('operations'), [...path, 'operations'], problems);
  const principals = members.get('principals');
  const keys = members.get('keys');
  const when = members.has('when')
    ? readCondition(members.get('when'), [...path, 'when'], { problems, lists: definitions.lists })
    : undefined;
  const rule = {
    id: id ?? '',
    effect,
    operations,
    ...(principals === undefined
      ? {}
      : { principals: readPrincipals(principals, [...path, 'principals'], problems) }),
    ...(keys === undefined ? {} : { keys: readKeys(keys, [...path, 'keys'], definitions, problems) }),
    ...(when === undefined ? {} : { when }),
  };
  return id === undefined ? undefined : rule;
}

function readEffect(value: JsonValue | undefined, path: Path, problems: Problems): 'allow' | 'deny' {
  if (value === 'require')
    problems.add(path, '`require` is not supported by this version; write allow or deny');
  else if (value !== 'allow' && value !== 'deny') problems.add(path, 'must be allow or deny');
  return value === 'allow' ? 'allow' : 'deny';
}

function readOperations(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): ReadonlySet<Operation> {
  return readList(value, path, problems, (item, itemPath) => {
    const operation = OPERATIONS.find((name) => name === item);
    if (operation !== undefined) return operation;
    const known = OPERATIONS.join(', ');
    const message =
      item === '*'
        ? `operations have no wildcard; name each: ${known}`
        : `${JSON.stringify(item)} is not supported by this version; operations are ${known}`;
    problems.add(itemPath, message);
    return undefined;
  });
}

function readPrincipals(value: JsonValue, path: Path, problems: Problems): PrincipalSelector {
  const members = readMapping(value, path, problems, { known: ['roles', 'ids'] });
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
    problems.add(itemPath, `${JSON.stringify(item)} is not a role; roles are ${ROLES.join(', ')}`);
    return undefined;
  });
}

function readKeys(value: JsonValue, path: Path, definitions: Definitions, problems: Problems): KeySelector {
  const members = readMapping(value, path, problems, { known: ['groups', 'names', 'tags'] });
  if (members?.size === 0) problems.add(path, 'names no key; write { names: ["*"] } for every key');
  const names = members?.get('names');
  const every = Array.isArray(names) && names.includes('*');
  if (every && (names.length > 1 || (members?.size ?? 0) > 1)) {
    problems.add([...path, 'names'], '"*" is every key; remove the other selectors, or remove "*"');
  }
  const selected = {
    names: new Set(every ? [] : readNames(names, [...path, 'names'], problems)),
    tags: new Set(readNames(members?.get('tags'), [...path, 'tags'], problems)),
  };
  const groupsPath = [...path, 'groups'];
  for (const name of readNames(members?.get('groups'), groupsPath, problems)) {
    const group = definitions.keyGroups.get(name);
    if (group === undefined) problems.add(groupsPath, `there is no "${name}" under \`keyGroups\`; define it`);
    for (const member of group?.names ?? []) selected.names.add(member);
    for (const tag of group?.tags ?? []) selected.tags.add(tag);
  }
  return { every, ...selected };
}
