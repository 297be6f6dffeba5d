import type { JsonValue } from '../jcs.ts';
import { readApprovalName } from './approvals.ts';
import { findFaults } from './check.ts';
import { readCondition } from './condition.ts';
import type { Context } from './context.ts';
import { POLICY_OPERATIONS, type Approval, type PolicyOperation, type Rule } from './model.ts';
import {
  isList,
  NAME,
  NAME_HINT,
  quote,
  readBoolean,
  readChoice,
  readList,
  readMapping,
  readText,
  type Mapping,
  type Path,
  type Problems,
} from './read.ts';
import { readSource, readValidity, readWindows } from './schedule.ts';
import { readKeys, readPrincipals, type KeyContext } from './selectors.ts';

/** What rules may refer to. */
export interface RuleContext extends Context, KeyContext {
  readonly approvals: ReadonlyMap<string, Approval>;
}

const RULE = [
  'id',
  'effect',
  'hard',
  'mode',
  'principals',
  'source',
  'keys',
  'draining',
  'operations',
  'when',
  'validity',
  'windows',
  'approval',
];

const EFFECTS = ['allow', 'deny', 'require'] as const;
const MODES = ['enforce', 'shadow'] as const;

export function readRules(value: JsonValue | undefined, context: RuleContext): Rule[] {
  const { problems, quota } = context;
  const rules: Rule[] = [];
  if (value === undefined || !isList(value)) {
    problems.add(['rules'], 'must be a list of rules; write [] to deny everything');
    return rules;
  }
  const ids = new Set<string>();
  for (const [index, item] of value.entries()) {
    const path = ['rules', index];
    quota.spend('rules', path);
    const before = problems.count;
    const rule = readRule(item, path, context);
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

function readRule(value: JsonValue, path: Path, context: RuleContext): Rule | undefined {
  const { problems, quota } = context;
  const members = readMapping(value, path, problems, RULE);
  if (members === undefined) return undefined;
  const at = (name: string): Path => [...path, name];
  const optional = <T>(name: string, read: (member: JsonValue, memberPath: Path) => T): T | undefined => {
    const member = members.get(name);
    return member === undefined ? undefined : read(member, at(name));
  };
  const id = readText(members.get('id'), at('id'), problems, NAME, NAME_HINT);
  const effect = readChoice(members.get('effect'), at('effect'), problems, EFFECTS) ?? 'deny';
  const operations = readOperations(members.get('operations'), at('operations'), problems);
  const mode = optional('mode', (member, to) => readChoice(member, to, problems, MODES));
  const principals = optional('principals', (member, to) => readPrincipals(member, to, problems));
  const source = optional('source', (member, to) => readSource(member, to, problems));
  const keys = optional('keys', (member, to) => readKeys(member, to, context));
  const when = optional('when', (member, to) => readCondition(member, to, context));
  const validity = optional('validity', (member, to) => readValidity(member, to, problems));
  const windows = optional('windows', (member, to) => readWindows(member, to, problems, quota));
  const approval = readApproval(members, effect, at('approval'), context);
  const rule = {
    id: id ?? '',
    effect,
    hard: readFlag(members, 'hard', effect, 'deny', at('hard'), problems),
    shadow: mode === 'shadow',
    draining: readFlag(members, 'draining', effect, 'allow', at('draining'), problems),
    operations,
    ...(principals === undefined ? {} : { principals }),
    ...(source === undefined ? {} : { source }),
    ...(keys === undefined ? {} : { keys }),
    ...(when === undefined ? {} : { when }),
    ...(validity === undefined ? {} : { validity }),
    ...(windows === undefined ? {} : { windows }),
    ...(approval === undefined ? {} : { approval }),
  };
  return id === undefined ? undefined : rule;
}

/** A flag that rules of one effect have: on others it would look as if it meant something. */
function readFlag(
  members: Mapping,
  name: string,
  effect: Rule['effect'],
  owner: Rule['effect'],
  path: Path,
  problems: Problems,
): boolean {
  if (!members.has(name)) return false;
  if (effect !== owner) problems.add(path, `only ${owner} rules can be \`${name}\`; remove it`, 'key');
  return readBoolean(members.get(name), path, problems) === true;
}

function readApproval(
  members: Mapping,
  effect: Rule['effect'],
  path: Path,
  { problems, approvals }: RuleContext,
): string | undefined {
  if (effect === 'require') return readApprovalName(members.get('approval'), path, problems, approvals)?.name;
  if (members.has('approval')) {
    const message = `${effect === 'allow' ? 'an allow' : 'a deny'} rule asks for no approval; write a require rule for it, and remove it here`;
    problems.add(path, message, 'key');
  }
  return undefined;
}

function readOperations(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): ReadonlySet<PolicyOperation> {
  return readList(value, path, problems, (item, itemPath) =>
    readOperation(item, itemPath, problems, POLICY_OPERATIONS),
  );
}

export function readOperation<T extends PolicyOperation>(
  item: JsonValue,
  path: Path,
  problems: Problems,
  known: readonly T[],
): T | undefined {
  const operation = known.find((name) => name === item);
  if (operation !== undefined) return operation;
  const message =
    item === '*'
      ? `operations have no wildcard; name each: ${known.join(', ')}`
      : `${quote(item)} is not an operation here; operations are ${known.join(', ')}`;
  problems.add(path, message);
  return undefined;
}
