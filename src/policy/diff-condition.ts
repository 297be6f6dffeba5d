import { canonicalize, type JsonValue } from '../jcs.ts';
import {
  amount,
  change,
  complete,
  duration,
  inside,
  isList,
  isMapping,
  negate,
  ordered,
  restrictions,
  set,
  show,
  subject,
  type Change,
  type Differ,
  type Place,
  type Sense,
} from './diff-node.ts';

/** What differs in the condition of an allow rule, or of a deny or require rule, which need no cover. */
export function conditionDiffer(needsCover: boolean): Differ {
  return complete((before, after, place) => {
    const [one, other] = [conjunctsOf(before), conjunctsOf(after)];
    const repeated = repeatedIn(one, other);
    const step = isWrapped(before) || isWrapped(after) ? 'all' : undefined;
    const there = step === undefined ? place : inside(place, step, undefined);
    return diffBranches(one, other, there, { needsCover, repeated, joined: 'all' });
  });
}

interface Branches {
  readonly needsCover: boolean;
  /** Predicates that stand more than once, which a text has to tell apart. */
  readonly repeated: ReadonlySet<string>;
  readonly joined: 'all' | 'any';
}

type Json = JsonValue | undefined;

function isWrapped(when: Json): boolean {
  return isMapping(when) && isList(when['all']);
}

/** One condition is a conjunction of one. */
function conjunctsOf(when: Json): readonly JsonValue[] {
  if (when === undefined) return [];
  return isMapping(when) && isList(when['all']) ? when['all'] : [when];
}

function repeatedIn(...sides: readonly (readonly JsonValue[])[]): ReadonlySet<string> {
  const repeated = new Set<string>();
  for (const side of sides) {
    const seen = new Set<string>();
    for (const name of side.flatMap(predicatesIn)) (seen.has(name) ? repeated : seen).add(name);
  }
  return repeated;
}

/** Names of the predicates of a condition, at any depth. */
function predicatesIn(condition: JsonValue): string[] {
  const [name, value] = parts(condition);
  if (name === 'not' && value !== undefined) return predicatesIn(value);
  return (name === 'all' || name === 'any') && isList(value) ? value.flatMap(predicatesIn) : [name];
}

/** A condition is a mapping of one member. */
function parts(condition: Json): readonly [name: string, value: Json] {
  return (isMapping(condition) ? Object.entries(condition)[0] : undefined) ?? ['', undefined];
}

/** Predicates by which an allow rule covers an effect: without them it may match more, and still allow less. */
const COVERING: ReadonlySet<string> = new Set([
  'to',
  'create',
  'blobs',
  'authorizations',
  'call',
  'token',
  'typed',
]);

interface Pair {
  readonly before: number | undefined;
  readonly after: number | undefined;
}

function diffBranches(
  before: readonly JsonValue[],
  after: readonly JsonValue[],
  place: Place,
  branches: Branches,
): Change[] {
  const pairs = pair(before, after);
  const changes = pairs.flatMap((each) => diffPair(each, before, after, place, branches));
  const matched = pairs.flatMap(({ before: from, after: to }) => (from === undefined ? [] : (to ?? [])));
  const isReordered = matched.some((to, index) => index > 0 && to < (matched[index - 1] ?? 0));
  return isReordered
    ? [...changes, change('changed', place, `${subject(place)}conditions in another order`)]
    : changes;
}

function diffPair(
  { before: from, after: to }: Pair,
  before: readonly JsonValue[],
  after: readonly JsonValue[],
  place: Place,
  branches: Branches,
): Change[] {
  const one = from === undefined ? undefined : before[from];
  const other = to === undefined ? undefined : after[to];
  const there = inside(place, to ?? from ?? 0, undefined);
  if (one !== undefined && other !== undefined) return diffCondition(one, other, there, branches);
  const more = moreOf(one ?? other, one === undefined, branches);
  return other === undefined
    ? [change('removed', there, `${subject(there)}condition removed: ${showCondition(one)}`, more)]
    : [change('added', there, `${subject(there)}condition added: ${showCondition(other)}`, more)];
}

/** Of a conjunction, what comes restricts; of a disjunction, what comes opens. */
function moreOf(condition: Json, isNew: boolean, { needsCover, joined }: Branches): Sense {
  if (needsCover && (joined === 'any' || predicatesIn(condition ?? {}).some((name) => COVERING.has(name))))
    return 0;
  return isNew === (joined === 'all') ? -1 : 1;
}

function showCondition(condition: Json): string {
  const [name, value] = parts(condition);
  return name === '' ? show(condition) : `${name} ${show(value)}`;
}

/** Pairs what is the same, then what is about the same thing, then what has the same name; in the older order. */
function pair(before: readonly JsonValue[], after: readonly JsonValue[]): Pair[] {
  const partner = new Map<number, number>();
  const taken = new Set<number>();
  for (const keyOf of [canonicalize, aboutOf, (condition: JsonValue) => parts(condition)[0]]) {
    const free = [...after.keys()].filter((to) => !taken.has(to));
    const byKey = Map.groupBy(free, (to) => keyOf(after[to] ?? null));
    for (const [from, one] of before.entries()) {
      const to = partner.has(from) ? undefined : byKey.get(keyOf(one))?.shift();
      if (to === undefined) continue;
      partner.set(from, to);
      taken.add(to);
    }
  }
  const added = [...after.keys()].filter((to) => !taken.has(to));
  return [
    ...[...before.keys()].map((from) => ({ before: from, after: partner.get(from) })),
    ...added.map((to) => ({ before: undefined, after: to })),
  ];
}

/** Members of a predicate that say what all its others are about. */
const ABOUT: readonly string[] = ['token', 'abi', 'fn', 'type'];

function aboutOf(condition: JsonValue): string {
  const [name, value] = parts(condition);
  return canonicalize([name, ...(isMapping(value) ? ABOUT.map((member) => value[member] ?? null) : [])]);
}

/** Of one name: `pair` makes no others. */
function diffCondition(before: JsonValue, after: JsonValue, place: Place, branches: Branches): Change[] {
  const [name, one] = parts(before);
  const [, other] = parts(after);
  if (isList(one) && isList(other)) {
    const there = inside(place, name, name);
    return diffBranches(one, other, there, { ...branches, joined: name === 'any' ? 'any' : 'all' });
  }
  if (name === 'not' && one !== undefined && other !== undefined) return diffNot(one, other, place, branches);
  const isMoved = aboutOf(before) !== aboutOf(after);
  const there = inside(isMoved ? { ...place, sense: 0 } : place, name, wordOf(name, before, branches));
  return predicateDiffer(name, branches.needsCover)(one, other, there);
}

/** More that matches inside is less that matches; nothing inside gives cover. */
function diffNot(before: JsonValue, after: JsonValue, place: Place, branches: Branches): Change[] {
  const there = { ...inside(place, 'not', 'not'), sense: negate(place.sense) };
  return diffBranches([before], [after], there, { ...branches, needsCover: false, joined: 'all' });
}

/** Left out where the members say enough: the amount of a token that the rule is about. */
const IMPLIED: ReadonlySet<string> = new Set(['token', 'call', 'typed', 'digest']);

function wordOf(name: string, condition: JsonValue, { repeated }: Branches): string | undefined {
  if (!IMPLIED.has(name)) return name;
  if (!repeated.has(name)) return undefined;
  const [, value] = parts(condition);
  const about = isMapping(value) ? (value['fn'] ?? value['type'] ?? value['token']) : undefined;
  const action = isMapping(value) ? value['action'] : undefined;
  return [about === undefined ? name : show(about), ...(action === undefined ? [] : [show(action)])].join(
    ' ',
  );
}

function predicateDiffer(name: string, needsCover: boolean): Differ {
  const isLoose = needsCover && (name === 'to' || name === 'create' || name === 'authorizations');
  return restrictions(
    (member) => memberDiffer(member, isLoose || (needsCover && COVERED_BY.has(`${name}.${member}`))),
    wordOfMember,
    (member) => !isLoose && !(needsCover && COVERED_BY.has(`${name}.${member}`)),
  );
}

/** The members of predicates on which cover depends: without `to`, a `call` covers no delegatecall. */
const COVERED_BY: ReadonlySet<string> = new Set(['call.to', 'call.delegate', 'typed.type']);

/** By its name, whatever the predicate: they mean the same in all. Arguments are mappings, whatever their names. */
function memberDiffer(name: string, isLoose: boolean): Differ {
  const scalar = SCALARS.get(name);
  return (before, after, place) => {
    if (scalar !== undefined && !isMapping(before) && !isMapping(after)) return scalar(before, after, place);
    return restrictions(
      (member) => memberDiffer(member, isLoose),
      wordOfMember,
      () => !isLoose,
    )(before, after, place);
  };
}

const SCALARS: ReadonlyMap<string, Differ> = new Map([
  ...['lt', 'lte', 'max'].map((name) => [name, ordered(amount, 1)] as const),
  ...['gt', 'gte'].map((name) => [name, ordered(amount, -1)] as const),
  ...['within', 'expiresWithin'].map((name) => [name, ordered(duration, 1)] as const),
  ...['in', 'action'].map((name) => [name, set(1)] as const),
  ['notIn', set(-1)],
  ['prefix', complete(diffPrefix)],
]);

/** A shorter beginning of the same text begins more texts. */
function diffPrefix(before: Json, after: Json, place: Place): Change[] {
  if (typeof before !== 'string' || typeof after !== 'string') return [];
  const words = `${place.words.join(' ')} ${show(before)} → ${show(after)}`;
  if (before.startsWith(after)) return [change('changed', place, words, 1)];
  return after.startsWith(before) ? [change('changed', place, words, -1)] : [];
}

const WORDS: ReadonlyMap<string, string | undefined> = new Map([
  ['lte', 'cap'],
  ['lt', 'cap (below)'],
  ['gte', 'floor'],
  ['gt', 'floor (above)'],
  ['notIn', 'exclusions'],
  ...['eq', 'in', 'args', 'message'].map((name) => [name, undefined] as const),
]);

function wordOfMember(name: string): string | undefined {
  return WORDS.has(name) ? WORDS.get(name) : name;
}
