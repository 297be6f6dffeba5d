import type { Effect } from '../effects/effect.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { byTrait, MAX_LISTED, type Listed, type Restriction } from './restriction.ts';
import { sieveOf } from './sieve.ts';
import type { Question } from './subject.ts';
import type { Trait } from './trait.ts';
import type { Value } from './value-test.ts';

type Rules = readonly CompiledRule[];

export interface RuleIndex {
  /**
   * Lists, each in document order, that together hold every rule that can apply to the effect; one may be in two lists.
   * The others do not apply, for certain: not even an error is missed.
   */
  of(question: Question, effect: Effect): readonly Rules[];
}

/** Adds lists to `found`, as `RuleIndex.of` gives them. */
type Search = (question: Question, effect: Effect, found: Rules[]) => void;

interface Entry {
  readonly compiled: CompiledRule;
  readonly restrictions: ReadonlyMap<string, Restriction>;
  /** In how many places the rule is filed already. */
  readonly copies: number;
}

/** So few rules are tried as fast as they are told apart. */
const FEW = 3;

/** By what a demand is known that is compared, the quickest first. */
const SIEVED = ['low', 'excluded', 'test'] as const;

/** A trait that tells apart less than this part of the rules is not worth a look at it. */
const LEAST_GAIN = 1 / 8;

/** @param traits the only ones to tell rules apart by; all, when absent. */
export function createRuleIndex(rules: Rules, traits?: readonly Trait[]): RuleIndex {
  const names = traits && new Set(traits.map(({ name }) => name));
  const search = build(rules.map((compiled) => entryOf(compiled, names)));
  return {
    of(question, effect) {
      const found: Rules[] = [];
      search?.(question, effect, found);
      return found;
    },
  };
}

function entryOf(compiled: CompiledRule, names: ReadonlySet<string> | undefined): Entry {
  const restrictions = compiled.restrictions.filter(({ trait }) => names?.has(trait.name) !== false);
  return { compiled, restrictions: byTrait(restrictions), copies: 1 };
}

/**
 * Undefined for no rules.
 * @param used names of traits by which these rules were told apart already.
 */
function build(entries: readonly Entry[], used: readonly string[] = []): Search | undefined {
  if (entries.length === 0) return undefined;
  if (entries.length > FEW) {
    const least = entries.length * LEAST_GAIN;
    const fork = findFork(entries, used, least);
    if (fork !== undefined) return createFork(fork, entries, used);
    for (const kind of SIEVED) {
      const sieve = findSieve(entries, used, kind, least);
      if (sieve !== undefined) return sieve;
    }
  }
  const rules = entries.map(({ compiled }) => compiled);
  return (_question, _effect, found) => {
    found.push(rules);
  };
}

/** A trait, and how many rules list each of its values. */
interface Option {
  readonly trait: Trait;
  filed: number;
  readonly counts: Map<Value, number>;
}

/** The trait by whose values most rules are left out whatever its value is, or else on average. */
function findFork(entries: readonly Entry[], used: readonly string[], least: number): Trait | undefined {
  const lists = new Map<string, Option>();
  for (const entry of entries) {
    for (const [name, restriction] of entry.restrictions) {
      if (used.includes(name) || !isFiled(entry, restriction)) continue;
      const { trait, values } = restriction;
      const list = getOrCreate(lists, name, () => ({ trait, filed: 0, counts: new Map<Value, number>() }));
      list.filed += 1;
      for (const value of values) list.counts.set(value, (list.counts.get(value) ?? 0) + 1);
    }
  }
  const options = [...lists.values()];
  const best =
    findBest(options, ({ filed, counts }) => filed - largest(counts.values()), least) ??
    findBest(options, ({ filed, counts }) => filed - average(counts.values()), least);
  return best?.trait;
}

function largest(numbers: Iterable<number>): number {
  let most = 0;
  for (const each of numbers) most = Math.max(most, each);
  return most;
}

function average(numbers: Iterable<number>): number {
  let sum = 0;
  let count = 0;
  for (const each of numbers) {
    sum += each;
    count += 1;
  }
  return sum / Math.max(count, 1);
}

/** No rule is filed in more places than one list may have values: the index stays linear in the document. */
function isFiled({ copies }: Entry, restriction: Restriction): restriction is Listed {
  return 'values' in restriction && copies * restriction.values.size <= MAX_LISTED;
}

function findBest<T>(options: Iterable<T>, gainOf: (option: T) => number, least: number): T | undefined {
  let best: T | undefined;
  let most = 0;
  for (const option of options) {
    const gain = gainOf(option);
    if (gain > most && gain >= least) [best, most] = [option, gain];
  }
  return best;
}

/** Tells rules apart by the values that they list. */
function createFork(trait: Trait, entries: readonly Entry[], used: readonly string[]): Search {
  const filed: CompiledRule[] = [];
  const others: Entry[] = [];
  const byValue = new Map<Value, Entry[]>();
  for (const entry of entries) {
    const restriction = entry.restrictions.get(trait.name);
    if (restriction === undefined || !isFiled(entry, restriction)) {
      others.push(entry);
      continue;
    }
    filed.push(entry.compiled);
    const copy = { ...entry, copies: entry.copies * restriction.values.size };
    for (const value of restriction.values) getOrCreate(byValue, value, newList).push(copy);
  }
  const usedHere = [...used, trait.name];
  const searches = new Map([...byValue].map(([value, some]) => [value, build(some, usedHere)]));
  const searchOthers = build(others, used);
  return (question, effect, found) => {
    const values = trait.read(question, effect);
    if (values === undefined) found.push(filed);
    else for (const value of values) searches.get(value)?.(question, effect, found);
    searchOthers?.(question, effect, found);
  };
}

/** By the trait of whose values most different things are demanded. */
function findSieve(
  entries: readonly Entry[],
  used: readonly string[],
  kind: (typeof SIEVED)[number],
  least: number,
): Search | undefined {
  const options = new Map<string, { readonly trait: Trait; readonly demands: Set<string> }>();
  for (const { restrictions } of entries) {
    for (const [name, restriction] of restrictions) {
      if (!(kind in restriction)) continue;
      const { trait } = restriction;
      getOrCreate(options, name, () => ({ trait, demands: new Set<string>() })).demands.add(
        demandOf(restriction),
      );
    }
  }
  const best = findBest(options.values(), ({ demands }) => demands.size - 1, least);
  if (best === undefined) return undefined;
  const { name } = best.trait;
  const isSieved = ({ restrictions }: Entry): boolean => kind in (restrictions.get(name) ?? {});
  return createSieve(
    best.trait,
    entries.filter(isSieved),
    build(
      entries.filter((entry) => !isSieved(entry)),
      used,
    ),
  );
}

function demandOf(restriction: Restriction): string {
  if ('low' in restriction) return `${restriction.low} ${restriction.high}`;
  if ('excluded' in restriction) return [...restriction.excluded].map(String).join(' ');
  return 'text' in restriction ? restriction.text : '';
}

/** Tries what each rule demands of a value that is read once, which is far less than to try the rule. */
function createSieve(trait: Trait, entries: readonly Entry[], searchOthers: Search | undefined): Search {
  const rules = entries.map(({ compiled }) => compiled);
  const demands = entries.flatMap(({ restrictions }) => restrictions.get(trait.name) ?? []);
  const sieve = sieveOf(rules, demands);
  return (question, effect, found) => {
    const values = trait.read(question, effect);
    if (values === undefined) found.push(rules);
    else for (const value of values) found.push(sieve(value, question.subject));
    searchOthers?.(question, effect, found);
  };
}

function newList(): Entry[] {
  return [];
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
