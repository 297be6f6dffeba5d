import type { JsonValue } from '../jcs.ts';
import { conditionDiffer } from './diff-condition.ts';
import {
  change,
  complete,
  inside,
  isList,
  isMapping,
  isReordered,
  members,
  negate,
  opaque,
  ordered,
  restrictions,
  set,
  show,
  subject,
  textOf,
  time,
  type Change,
  type Differ,
  type Mapping,
  type Place,
  type Sense,
} from './diff-node.ts';
import { senseOfRule } from './diff-use.ts';

type Json = JsonValue | undefined;

/** Names, tags, roles and ids add up, so that one more of any selects more. */
export const SELECTOR: Differ = complete((before, after, place) => {
  if (!isMapping(before) || !isMapping(after)) return [];
  const isEvery = [before, after].map((side) => isList(side['names']) && side['names'].includes('*'));
  if (isEvery[0] !== isEvery[1]) {
    const text = `${subject(place)}${show(before)} → ${show(after)}`;
    return [change('changed', place, text, isEvery[1] === true ? 1 : -1)];
  }
  return members(() => set(1))(before, after, place);
});

/** The order has no meaning but for which rule a decision names; even so it is not passed over. */
export const RULES: Differ = complete((before, after, place) => {
  const one = rulesOf(before);
  const other = rulesOf(after);
  const changes = [...new Set([...other.keys(), ...one.keys()])].flatMap((id) =>
    diffRule(id, one.get(id), other.get(id), { ...inside(place, id, undefined), words: [] }),
  );
  return isReordered(one, other) ? [...changes, change('changed', place, 'rules in another order')] : changes;
});

function rulesOf(rules: Json): ReadonlyMap<string, Mapping> {
  const list = isList(rules ?? null) ? (rules as readonly JsonValue[]) : [];
  return new Map(list.flatMap((rule) => (isMapping(rule) ? [[textOf(rule['id']), rule] as const] : [])));
}

function diffRule(
  id: string,
  before: Mapping | undefined,
  after: Mapping | undefined,
  place: Place,
): Change[] {
  if (before === undefined || after === undefined) {
    const rule = before ?? after ?? {};
    const verb = before === undefined ? 'added' : 'removed';
    const what = `${textOf(rule['effect'])}${isShadow(rule) ? ', shadow' : ''}`;
    const more = senseOfRule(rule);
    return [change(verb, place, `rule ${id} ${verb} (${what})`, verb === 'added' ? more : negate(more))];
  }
  const there = { ...place, label: `${id}: ` };
  const isWhole = before['effect'] === after['effect'] && !isShadow(before) && !isShadow(after);
  const sense = isWhole ? senseOfRule(after) : 0;
  const needsCover = isWhole && after['effect'] === 'allow';
  return members(
    (name) => memberDiffer(name, before, after, needsCover),
    (name) => (name === 'when' ? undefined : name),
  )(before, after, { ...there, sense });
}

function isShadow(rule: Mapping): boolean {
  return rule['mode'] === 'shadow';
}

function memberDiffer(name: string, before: Mapping, after: Mapping, needsCover: boolean): Differ {
  if (name === 'effect') return effectDiffer(isShadow(before) || isShadow(after));
  if (name === 'mode') return modeDiffer(before, after);
  const differ = name === 'when' ? conditionDiffer(needsCover) : RULE_MEMBERS.get(name);
  // The whole condition that comes or goes is its parts.
  if (differ === undefined || name === 'when') return differ ?? complete(opaque);
  return RESTRICTING.has(name) ? comesAndGoes(differ) : differ;
}

const RULE_MEMBERS: ReadonlyMap<string, Differ> = new Map<string, Differ>([
  ['principals', SELECTOR],
  ['keys', SELECTOR],
  ['operations', set(1)],
  ['source', restrictions((name) => (name === 'cidr' ? set(1) : opaque))],
  ['validity', restrictions((name) => ordered(time, name === 'until' ? 1 : -1))],
  ['windows', set(1)],
  ['draining', flag(1)],
  // Of deny rules only, where to match more and to be harder to override come to the same.
  ['hard', flag(1)],
]);

const RESTRICTING: ReadonlySet<string> = new Set(['principals', 'keys', 'source', 'validity', 'windows']);

/** A part that restricts, as a whole. */
function comesAndGoes(differ: Differ): Differ {
  return (before, after, place) => {
    if (before !== undefined && after !== undefined) return differ(before, after, place);
    const [verb, more] = before === undefined ? (['added', -1] as const) : (['removed', 1] as const);
    return [change(verb, place, `${subject(place)}${show(before ?? after)} ${verb}`, more)];
  };
}

function flag(more: 1 | -1): Differ {
  return (before, after, place) => {
    const [one, other] = [before === true, after === true];
    const direction = one === other ? 0 : other ? more : negate(more);
    return [change('changed', place, `${subject(place)}${show(before)} → ${show(after)}`, direction)];
  };
}

const STRENGTH: ReadonlyMap<JsonValue, number> = new Map([
  ['deny', 0],
  ['require', 1],
  ['allow', 2],
]);

/** From deny over require to allow; a rule that asks for approval allows nothing by itself. */
function effectDiffer(isShadowed: boolean): Differ {
  return (before, after, place) => {
    const stronger = (STRENGTH.get(after ?? '') ?? 0) - (STRENGTH.get(before ?? '') ?? 0);
    const more = isShadowed ? 0 : stronger > 0 ? 1 : -1;
    const text = `effect ${show(before)} → ${show(after)}`;
    return [change('changed', { ...place, sense: 1 }, text, more)];
  };
}

function modeDiffer(before: Mapping, after: Mapping): Differ {
  return (one, other, place) => {
    const [was, is] = [isShadow(before), isShadow(after)];
    const enforced: Sense = after['effect'] === 'allow' ? 1 : -1;
    const isSure = was !== is && before['effect'] === after['effect'];
    const more = !isSure ? 0 : is ? negate(enforced) : enforced;
    return [change('changed', { ...place, sense: 1 }, `mode ${show(one)} → ${show(other)}`, more)];
  };
}
