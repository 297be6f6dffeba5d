import { quote } from '../effects/wording.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import { parseAmount, parseInteger, parseTokenAmount } from './amount.ts';
import { parseDuration } from './duration.ts';
import type { Token } from './model.ts';
import type { Path } from './read.ts';

/** One difference between two policies. */
export interface Change {
  /** Where it stands, rules by their id: `rules.pay.when.all[1].value.lte`. */
  readonly path: string;
  readonly kind: 'added' | 'removed' | 'changed';
  /** In plain words, on one line. */
  readonly text: string;
  /** true: surely lets more through; false: surely less, all else being equal. Absent where neither is sure. */
  readonly wider?: boolean;
}

/** What comes of matching more: it lets more through (1), less (-1), or that can't be said (0). */
export type Sense = 1 | -1 | 0;

export interface Place {
  readonly path: Path;
  /** Begins the text of every change here: `pay-usdc: `. */
  readonly label: string;
  /** What is looked at, without what the label says. */
  readonly words: readonly string[];
  readonly sense: Sense;
  /** The tokens of both documents: units of amounts. */
  readonly tokens: { readonly before: Tokens; readonly after: Tokens };
}

type Tokens = ReadonlyMap<string, Token>;
type Json = JsonValue | undefined;

/** Every difference between two values. Where they are not the same there is at least one change. */
export type Differ = (before: Json, after: Json, place: Place) => Change[];

export function isSame(one: Json, other: Json): boolean {
  if (one === undefined || other === undefined) return one === other;
  return canonicalize(one) === canonicalize(other);
}

/** Makes a differ complete: no change where nothing differs, and the plainest one where it has found none. */
export function complete(differ: Differ): Differ {
  return (before, after, place) => {
    if (isSame(before, after)) return [];
    const changes = differ(before, after, place);
    return changes.length > 0 ? changes : opaque(before, after, place);
  };
}

/** @param more whether this matches more (1), less (-1), or cannot be said (0). */
export function change(kind: Change['kind'], place: Place, text: string, more: Sense = 0): Change {
  const direction = place.sense * more;
  const wider = direction === 0 ? {} : { wider: direction > 0 };
  return { path: formatPath(place.path), kind, text: `${place.label}${text}`, ...wider };
}

/** A member of what is looked at. */
export function inside(place: Place, step: string | number, word: string | undefined): Place {
  const words = word === undefined ? place.words : [...place.words, word];
  return { ...place, path: [...place.path, step], words };
}

/** `words` of the place, and a space where there are any. */
export function subject({ words }: Place): string {
  return words.map((word) => `${word} `).join('');
}

/** Without understanding: what it was, and what it is. */
export function opaque(before: Json, after: Json, place: Place): Change[] {
  return [change(kindOf(before, after), place, `${subject(place)}${arrow(before, after)}`)];
}

function kindOf(before: Json, after: Json): Change['kind'] {
  if (before === undefined) return 'added';
  return after === undefined ? 'removed' : 'changed';
}

type Measure = (value: JsonValue, tokens: Tokens) => Measured | undefined;

interface Measured {
  readonly size: bigint;
  /** What has two different ones can't be compared; without one, it is in base units. */
  readonly unit: string;
}

/** A quantity of which more matches more (1) or less (-1). */
export function ordered(measure: Measure, more: 1 | -1): Differ {
  return complete((before, after, place) => {
    if (before === undefined || after === undefined) return [];
    const one = measure(before, place.tokens.before);
    const other = measure(after, place.tokens.after);
    if (one === undefined || other === undefined || one.size === other.size) return [];
    if (one.unit !== other.unit && one.unit !== '' && other.unit !== '') return [];
    const direction = one.size < other.size ? more : negate(more);
    return [change('changed', place, `${subject(place)}${arrow(before, after)}`, direction)];
  });
}

/** A whole number, or an amount with or without unit: base units of its token, else wei. */
export const amount: Measure = (value, tokens) => {
  const unit = typeof value === 'string' ? value.split(' ')[1] : undefined;
  const token = unit === undefined ? undefined : tokens.get(unit);
  const read = token === undefined ? parseAmount : (text: JsonValue) => parseTokenAmount(text, token);
  const parsed = unit === undefined ? parseInteger(value) : read(value);
  if (!('value' in parsed)) return undefined;
  return { size: parsed.value, unit: token?.name ?? (unit === undefined ? '' : 'wei') };
};

export const duration: Measure = (value) => {
  const parsed = parseDuration(value);
  return 'value' in parsed ? { size: BigInt(parsed.value), unit: 'ms' } : undefined;
};

export const time: Measure = (value) => {
  const milliseconds = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(milliseconds) ? undefined : { size: BigInt(milliseconds), unit: 'ms' };
};

/** A list without order, or one item of it; absent is empty. More items match more (1), less (-1), or neither (0). */
export function set(more: Sense): Differ {
  return complete((before, after, place) => {
    const one = itemsOf(before);
    const other = itemsOf(after);
    const gained = [...other].filter(([text]) => !one.has(text));
    const lost = [...one].filter(([text]) => !other.has(text));
    // What a named list holds is not known here: it may hold what goes, or what comes.
    const isKnown = ![...one.values(), ...other.values()].some(isReference);
    const gains = isKnown ? more : 0;
    return [
      ...gained.map(([, item]) => change('changed', place, `${subject(place)}gains ${show(item)}`, gains)),
      ...lost.map(([, item]) =>
        change('changed', place, `${subject(place)}loses ${show(item)}`, negate(gains)),
      ),
      ...(isReordered(one, other) ? [change('changed', place, `${subject(place)}in another order`)] : []),
    ];
  });
}

/** By their canonical JSON, in their order. */
function itemsOf(value: Json): ReadonlyMap<string, JsonValue> {
  if (value === undefined) return new Map();
  const items = isList(value) ? value : [value];
  return new Map(items.map((item) => [canonicalize(item), item]));
}

function isReference(item: JsonValue): boolean {
  return typeof item === 'string' && item.startsWith('$');
}

/** Whether what both have stands in another order. */
export function isReordered(one: ReadonlyMap<string, unknown>, other: ReadonlyMap<string, unknown>): boolean {
  const common = [...one.keys()].filter((key) => other.has(key));
  const now = [...other.keys()].filter((key) => one.has(key));
  return common.some((key, index) => key !== now[index]);
}

export function negate(sense: Sense): Sense {
  if (sense === 0) return 0;
  return sense === 1 ? -1 : 1;
}

export type Mapping = { readonly [name: string]: JsonValue | undefined };

/** Own members only: an author may name a list `constructor`. */
export function memberOf(mapping: Mapping, name: string): JsonValue | undefined {
  return Object.hasOwn(mapping, name) ? mapping[name] : undefined;
}

/** A text that a compiled document is sure to have. */
export function textOf(value: Json): string {
  return typeof value === 'string' ? value : '';
}

export function isMapping(value: Json): value is Mapping {
  return typeof value === 'object' && value !== null && !isList(value);
}

export function isList(value: Json): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Of two mappings, each member by its own differ. */
export function members(
  differOf: (name: string) => Differ,
  wordOf: (name: string) => string | undefined = word,
): Differ {
  return complete((before, after, place) => {
    if (!isMapping(before) || !isMapping(after)) return [];
    return namesOf(before, after).flatMap((name) =>
      complete(differOf(name))(
        memberOf(before, name),
        memberOf(after, name),
        inside(place, name, wordOf(name)),
      ),
    );
  });
}

function word(name: string): string {
  return name;
}

/** In the order of the newer one. */
export function namesOf(before: Mapping, after: Mapping): string[] {
  return [...new Set([...Object.keys(after), ...Object.keys(before)])];
}

/**
 * Of two mappings of which every member restricts: one that comes matches less, one that goes more. Where some come and
 * others go, that is not sure.
 */
export function restrictions(
  differOf: (name: string) => Differ,
  wordOf: (name: string) => string | undefined = word,
  isSure: (name: string, place: Place) => boolean = () => true,
): Differ {
  return complete((before, after, place) => {
    if (!isMapping(before) || !isMapping(after)) return [];
    const names = namesOf(before, after);
    const isSwapped = [before, after].every((side) => names.some((name) => !Object.hasOwn(side, name)));
    return names.flatMap((name) => {
      const there = inside(place, name, wordOf(name));
      const [one, other] = [memberOf(before, name), memberOf(after, name)];
      if (one !== undefined && other !== undefined) return complete(differOf(name))(one, other, there);
      const sure = !isSwapped && isSure(name, place);
      if (other !== undefined)
        return [change('added', there, `${subject(there)}${show(other)} added`, sure ? -1 : 0)];
      return one === undefined
        ? []
        : [change('removed', there, `${subject(there)}${show(one)} removed`, sure ? 1 : 0)];
    });
  });
}

const AMOUNT = /^([0-9]+)(\.[0-9]+)?(?: ([A-Za-z0-9._-]+))?$/;
const WORD = /^[!-~]+$/;
const OTHER_JSON = /^(?:true|false|null|[{["].*)$/;

/** `50,000 → 80,000 usdc`. */
export function arrow(before: Json, after: Json): string {
  const one = show(before);
  const other = show(after);
  // What differs only in its JSON type must still look different.
  if (one === other && before !== undefined && after !== undefined) {
    return `${canonicalize(before)} → ${canonicalize(after)}`;
  }
  const unit = unitOf(before);
  const shared = unit !== undefined && unit === unitOf(after);
  return `${shared ? one.slice(0, -unit.length - 1) : one} → ${other}`;
}

function unitOf(value: Json): string | undefined {
  return typeof value === 'string' ? AMOUNT.exec(value)?.[3] : undefined;
}

/** A value as a person reads it: amounts in groups of three digits, mappings as in YAML. */
export function show(value: Json): string {
  if (value === undefined) return 'none';
  if (typeof value === 'string') {
    const [, whole, fraction = '', unit] = AMOUNT.exec(value) ?? [];
    if (whole !== undefined) return `${grouped(whole)}${fraction}${unit === undefined ? '' : ` ${unit}`}`;
    return WORD.test(value) && !OTHER_JSON.test(value) ? value : quote(value);
  }
  if (isList(value)) return `[${value.map(show).join(', ')}]`;
  if (!isMapping(value)) return String(value);
  const parts = Object.entries(value).map(([name, member]) => `${show(name)}: ${show(member)}`);
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`;
}

function grouped(digits: string): string {
  const first = digits.length % 3 || 3;
  const groups = [digits.slice(0, first)];
  for (let at = first; at < digits.length; at += 3) groups.push(digits.slice(at, at + 3));
  return groups.join(',');
}

function formatPath(path: Path): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .slice(1);
}
