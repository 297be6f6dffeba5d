import type { JsonValue } from '../jcs.ts';
import {
  amount,
  change,
  complete,
  duration,
  inside,
  isList,
  isMapping,
  isReordered,
  memberOf,
  members,
  namesOf,
  negate,
  opaque,
  ordered,
  set,
  show,
  subject,
  textOf,
  type Change,
  type Differ,
  type Mapping,
  type Place,
  type Sense,
} from './diff-node.ts';
import { RULES, SELECTOR } from './diff-rule.ts';
import { usesIn, type Uses } from './diff-use.ts';
import type { PolicyDocument } from './document.ts';
import type { PolicyModel } from './model.ts';

export type { Change } from './diff-node.ts';

/** What is compared of a policy. */
export interface Comparable {
  readonly document: PolicyDocument;
  readonly model: Pick<PolicyModel, 'tokens'>;
}

type Json = JsonValue | undefined;

/**
 * What one policy changes of another, in plain words. Empty exactly where their canonical JSON is the same. Without
 * `before`, everything in `after` is new.
 */
export function diffPolicies(before: Comparable | undefined, after: Comparable): Change[] {
  const one = (before?.document ?? {}) as Mapping;
  const other = after.document as unknown as Mapping;
  const tokens = { before: before?.model.tokens ?? new Map(), after: after.model.tokens };
  const place: Place = { path: [], label: '', words: [], sense: 1, tokens };
  const uses = usesIn([one, other]);
  return namesOf(one, other).flatMap((name) =>
    sectionDiffer(name, uses)(memberOf(one, name), memberOf(other, name), inside(place, name, name)),
  );
}

function sectionDiffer(name: string, uses: Uses): Differ {
  switch (name) {
    case 'rules':
      return RULES;
    case 'lists':
      return named('list', listDiffer(uses), 0);
    case 'tokens':
      return named('token', TOKEN, 0);
    case 'abis':
      return named('abi', set(0), 0);
    case 'keyGroups':
      return named('key group', keyGroupDiffer(uses), 0);
    case 'approvals':
      return named('approval', APPROVAL, 0);
    case 'limits':
      return named('limit', LIMIT, -1);
    case 'breakGlass':
      return BREAK_GLASS;
    default:
      return complete(opaque);
  }
}

/** Members by name; `more` is what a new one does. */
function named(noun: string, differ: Differ, more: Sense): Differ {
  return complete((before, after, place) => {
    const [one, other] = [before ?? {}, after ?? {}];
    if (!isMapping(one) || !isMapping(other)) return [];
    return namesOf(one, other).flatMap((name) => {
      const there: Place = { ...inside(place, name, undefined), label: `${noun} ${name}`, words: [] };
      return oneNamed(memberOf(one, name), memberOf(other, name), there, differ, more);
    });
  });
}

function oneNamed(before: Json, after: Json, place: Place, differ: Differ, more: Sense): Change[] {
  if (before !== undefined && after !== undefined) {
    return complete(differ)(before, after, { ...place, label: `${place.label}: ` });
  }
  if (after !== undefined) return [change('added', place, ` added: ${show(after)}`, more)];
  return before === undefined ? [] : [change('removed', place, ` removed: ${show(before)}`, negate(more))];
}

const TOKEN = members(() => complete(opaque));

/** Said of the rules that use it, since that is what it changes. */
function listDiffer(uses: Uses): Differ {
  return (before, after, place) => {
    const name = String(place.path.at(-1));
    const { sense, rules } = uses.ofList(name);
    const there =
      rules.length === 0
        ? place
        : { ...place, label: `${listRules(rules)}: `, words: [...place.words, name] };
    return set(1)(before, after, { ...there, sense });
  };
}

const MAX_NAMED = 3;

function listRules(rules: readonly string[]): string {
  const shown = rules.slice(0, MAX_NAMED).join(', ');
  return rules.length > MAX_NAMED ? `${shown} and ${rules.length - MAX_NAMED} more` : shown;
}

function keyGroupDiffer(uses: Uses): Differ {
  return (before, after, place) => {
    const { sense } = uses.ofGroup(String(place.path.at(-1)));
    return SELECTOR(before, after, { ...place, sense });
  };
}

/** A quorum that grows lets less through. */
const QUORUMS: Differ = complete((before, after, place) => {
  const one = quorumsOf(before);
  const other = quorumsOf(after);
  const roles = [...new Set([...other.keys(), ...one.keys()])];
  return [
    ...roles.flatMap((role) => {
      const there = { ...inside(place, role, undefined), words: [role, 'm'] };
      const [m, now] = [one.get(role), other.get(role)];
      if (now === undefined) return [change('removed', there, `${role} no longer asked (m ${show(m)})`, 1)];
      if (m === undefined) return [change('added', there, `${role} asked too (m ${show(now)})`, -1)];
      return ordered(amount, -1)(m, now, there);
    }),
    ...(isReordered(one, other) ? [change('changed', place, 'roles in another order')] : []),
  ];
});

function quorumsOf(all: Json): ReadonlyMap<string, JsonValue> {
  const quorums = isList(all ?? null) ? (all as readonly JsonValue[]) : [];
  return new Map(
    quorums.flatMap((quorum) =>
      isMapping(quorum) ? [[textOf(quorum['role']), quorum['m'] ?? null] as const] : [],
    ),
  );
}

/** true restricts, and is what absent means. */
const RESTRICTING_FLAG: Differ = (before, after, place) => {
  const [one, other] = [before ?? true, after ?? true];
  const more = one === other ? 0 : other === true ? -1 : 1;
  return [change('changed', place, `${subject(place)}${show(before)} → ${show(after)}`, more)];
};

const APPROVAL = members((name) => {
  if (name === 'all') return QUORUMS;
  if (name === 'distinct' || name === 'excludeRequester') return RESTRICTING_FLAG;
  if (name === 'ttl') return ordered(duration, 1);
  if (name === 'rejects') return ordered(amount, 1);
  return name === 'credential' ? CREDENTIAL : opaque;
});

const CREDENTIAL: Differ = (before, after, place) => {
  const more = before === undefined ? -1 : after === undefined ? 1 : 0;
  return [change('changed', place, `${subject(place)}${show(before)} → ${show(after)}`, more)];
};

const LIMIT = members((name) => {
  if (name === 'max') return ordered(amount, 1);
  if (name === 'per') return set(1);
  if (name === 'window') return members((part) => (part === 'rolling' ? ordered(duration, -1) : opaque));
  if (name === 'meter') return members((part) => (part === 'include' ? set(-1) : opaque));
  return name === 'onExceed' ? ON_EXCEED : opaque;
});

const ON_EXCEED: Differ = (before, after, place) => {
  const more = before === 'deny' ? 1 : after === 'deny' ? -1 : 0;
  return [change('changed', place, `${subject(place)}${show(before)} → ${show(after)}`, more)];
};

const BREAK_GLASS: Differ = complete((before, after, place) => {
  const there = { ...place, label: 'breakGlass', words: [] };
  const differ = members((name) => {
    if (name === 'principals' || name === 'keys') return SELECTOR;
    return name === 'operations' ? set(1) : opaque;
  });
  return oneNamed(before, after, there, differ, 1);
});
