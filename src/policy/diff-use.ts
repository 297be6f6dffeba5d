import type { JsonValue } from '../jcs.ts';
import { isList, isMapping, negate, textOf, type Mapping, type Sense } from './diff-node.ts';

/** Where something that has a name is used. */
export interface Use {
  /** What one more member comes to; 0 where uses differ, or where there are none. */
  readonly sense: Sense;
  /** Ids of the rules that use it. */
  readonly rules: readonly string[];
}

export interface Uses {
  ofList(name: string): Use;
  ofGroup(name: string): Use;
}

interface Mention {
  readonly rule: string;
  readonly sense: Sense;
}

/** What the rules of some documents use. */
export function usesIn(documents: readonly Mapping[]): Uses {
  const lists = new Map<string, Mention[]>();
  const groups = new Map<string, Mention[]>();
  for (const document of documents) {
    for (const rule of rulesOf(document)) {
      const mention = { rule: textOf(rule['id']), sense: senseOfRule(rule) };
      addGroups(rule['keys'], mention, groups);
      addLists(rule['when'], mention, lists);
    }
    const glass = document['breakGlass'];
    if (isMapping(glass)) addGroups(glass['keys'], { rule: 'breakGlass', sense: 1 }, groups);
  }
  // A key that changes its group is counted elsewhere by a limit for each group: that may go either way.
  const isCounted = documents.some(
    ({ limits }) => isMapping(limits) && Object.values(limits).some(isPerGroup),
  );
  return {
    ofList: (name) => useOf(lists.get(name) ?? []),
    ofGroup: (name) => {
      const use = useOf(groups.get(name) ?? []);
      return isCounted ? { ...use, sense: 0 } : use;
    },
  };
}

function useOf(mentions: readonly Mention[]): Use {
  const senses = new Set(mentions.map(({ sense }) => sense));
  const [only = 0] = senses.size === 1 ? senses : [];
  return { sense: only, rules: [...new Set(mentions.map(({ rule }) => rule))] };
}

/** What it comes to when a rule matches more. */
export function senseOfRule(rule: Mapping): Sense {
  if (rule['mode'] === 'shadow') return 0;
  return rule['effect'] === 'allow' ? 1 : -1;
}

function rulesOf({ rules }: Mapping): readonly Mapping[] {
  return isList(rules) ? rules.filter(isMapping) : [];
}

function isPerGroup(limit: JsonValue | undefined): boolean {
  return isMapping(limit) && isList(limit['per']) && limit['per'].includes('keyGroup');
}

function addGroups(keys: JsonValue | undefined, mention: Mention, groups: Map<string, Mention[]>): void {
  if (!isMapping(keys) || !isList(keys['groups'])) return;
  for (const name of keys['groups']) add(groups, textOf(name), mention);
}

/** Every text `$name`; `not` and `notIn` turn its sense round. */
function addLists(value: JsonValue | undefined, mention: Mention, lists: Map<string, Mention[]>): void {
  if (typeof value === 'string' && value.startsWith('$')) add(lists, value.slice(1), mention);
  if (isList(value)) for (const item of value) addLists(item, mention, lists);
  if (!isMapping(value)) return;
  const turned = { ...mention, sense: negate(mention.sense) };
  for (const [name, member] of Object.entries(value)) {
    addLists(member, name === 'not' || name === 'notIn' ? turned : mention, lists);
  }
}

function add(mentions: Map<string, Mention[]>, name: string, mention: Mention): void {
  const known = mentions.get(name);
  if (known === undefined) mentions.set(name, [mention]);
  else known.push(mention);
}
