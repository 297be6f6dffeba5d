import type { Hex } from '../bytes.ts';
import { chainsOf, recipientsOf, type Bound } from './bounds.ts';
import type { Check } from './compile.ts';
import type { PolicyRequest } from './decision.ts';
import type { Rule } from './model.ts';
import type { Subject } from './subject.ts';

export interface CompiledRule {
  /** Place in the document: of several rules that match, the first one is named. */
  readonly order: number;
  readonly rule: Rule;
  readonly check: Check | undefined;
  readonly bounds: ReadonlySet<Bound>;
}

export interface RuleIndex {
  readonly all: readonly CompiledRule[];
  /**
   * Lists, each in document order, that together hold every rule that can match. The others cannot: they
   * select other keys, or their condition holds only on other chains or for other recipients.
   */
  candidates(key: PolicyRequest['key'], subject: Subject): (readonly CompiledRule[])[];
}

/** The rules of one chain, or of any chain, each filed under its recipients, else its keys, else `rest`. */
interface Shelf {
  readonly byRecipient: Map<Hex, CompiledRule[]>;
  readonly byKeyName: Map<string, CompiledRule[]>;
  readonly byKeyTag: Map<string, CompiledRule[]>;
  readonly rest: CompiledRule[];
}

/** A rule is not filed under more chains, or more recipients, than this: the index stays linear in the document. */
const MAX_FILED = 64;

export function createRuleIndex(rules: readonly CompiledRule[]): RuleIndex {
  const byChain = new Map<bigint, Shelf>();
  const onAnyChain = createShelf();
  for (const compiled of rules) {
    const chains = chainsOf(compiled.rule.when);
    if (chains === undefined || chains.size > MAX_FILED) file(compiled, onAnyChain);
    else for (const chain of chains) file(compiled, getOrCreate(byChain, chain, createShelf));
  }
  return {
    all: rules,
    candidates(key, subject) {
      const found: CompiledRule[][] = [];
      collect(onAnyChain, key, subject, found);
      const shelf = subject.chainId === undefined ? undefined : byChain.get(subject.chainId);
      if (shelf !== undefined) collect(shelf, key, subject, found);
      return found;
    },
  };
}

function createShelf(): Shelf {
  return { byRecipient: new Map(), byKeyName: new Map(), byKeyTag: new Map(), rest: [] };
}

function file(compiled: CompiledRule, shelf: Shelf): void {
  const { keys, when } = compiled.rule;
  const recipients = recipientsOf(when);
  if (recipients !== undefined && recipients.size <= MAX_FILED) {
    for (const recipient of recipients) getOrCreate(shelf.byRecipient, recipient, newList).push(compiled);
  } else if (keys !== undefined && !keys.every && keys.names.size + keys.tags.size <= MAX_FILED) {
    for (const name of keys.names) getOrCreate(shelf.byKeyName, name, newList).push(compiled);
    for (const tag of keys.tags) getOrCreate(shelf.byKeyTag, tag, newList).push(compiled);
  } else {
    shelf.rest.push(compiled);
  }
}

function collect(shelf: Shelf, key: PolicyRequest['key'], subject: Subject, found: CompiledRule[][]): void {
  const forRecipient = typeof subject.to === 'string' ? shelf.byRecipient.get(subject.to) : undefined;
  if (forRecipient !== undefined) found.push(forRecipient);
  const forName = shelf.byKeyName.get(key.name);
  if (forName !== undefined) found.push(forName);
  for (const tag of key.tags) {
    const forTag = shelf.byKeyTag.get(tag);
    if (forTag !== undefined) found.push(forTag);
  }
  if (shelf.rest.length > 0) found.push(shelf.rest);
}

function newList(): CompiledRule[] {
  return [];
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
