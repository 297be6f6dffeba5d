import type { Hex } from '../bytes.ts';
import type { Effect } from '../effects/effect.ts';
import { addressesOf, chainsOf } from './bounds.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { PolicyRequest } from './decision.ts';
import { recipientOf, tokenOf } from './subject.ts';

type Rules = readonly CompiledRule[];

export interface RuleIndex {
  readonly all: Rules;
  /** The rules that can match a request; the others select other keys or hold on other chains only. */
  select(key: PolicyRequest['key'], chainId: bigint | undefined): Candidates;
}

export interface Candidates {
  /**
   * Lists, each in document order, that together hold every rule that can match the effect; one may be in two lists.
   * The others hold only for other recipients and other tokens, for certain: not even an error is missed.
   */
  of(effect: Effect): readonly Rules[];
}

/** The rules of one chain, or of any chain, each filed under its addresses, else its keys, else `rest`. */
interface Shelf {
  readonly byAddress: Map<Hex, CompiledRule[]>;
  readonly byKeyName: Map<string, CompiledRule[]>;
  readonly byKeyTag: Map<string, CompiledRule[]>;
  readonly rest: CompiledRule[];
}

/** A rule is not filed under more chains, or more addresses, than this: the index stays linear in the document. */
const MAX_FILED = 64;

const NO_LISTS: readonly Rules[] = [];
const NONE: Candidates = { of: () => NO_LISTS };

export function createRuleIndex(rules: Rules): RuleIndex {
  if (rules.length === 0) return { all: rules, select: () => NONE };
  const byChain = new Map<bigint, Shelf>();
  const onAnyChain = createShelf();
  for (const compiled of rules) {
    const { when, operations } = compiled.rule;
    // Typed data need not say what its chain is, and may be good on any.
    const chains = operations.has('typed-data') ? undefined : chainsOf(when);
    if (chains === undefined || chains.size > MAX_FILED) file(compiled, onAnyChain);
    else for (const chain of chains) file(compiled, getOrCreate(byChain, chain, createShelf));
  }
  return {
    all: rules,
    select(key, chainId) {
      const shelf = chainId === undefined ? undefined : byChain.get(chainId);
      return createCandidates(shelf === undefined ? [onAnyChain] : [onAnyChain, shelf], key);
    },
  };
}

function createShelf(): Shelf {
  return { byAddress: new Map(), byKeyName: new Map(), byKeyTag: new Map(), rest: [] };
}

function file(compiled: CompiledRule, shelf: Shelf): void {
  const { keys, when } = compiled.rule;
  const addresses = addressesOf(when);
  if (addresses !== undefined && addresses.size <= MAX_FILED) {
    for (const address of addresses) getOrCreate(shelf.byAddress, address, newList).push(compiled);
  } else if (keys !== undefined && !keys.every && keys.names.size + keys.tags.size <= MAX_FILED) {
    for (const name of keys.names) getOrCreate(shelf.byKeyName, name, newList).push(compiled);
    for (const tag of keys.tags) getOrCreate(shelf.byKeyTag, tag, newList).push(compiled);
  } else {
    shelf.rest.push(compiled);
  }
}

function createCandidates(shelves: readonly Shelf[], key: PolicyRequest['key']): Candidates {
  const lists: Rules[] = [];
  for (const shelf of shelves) {
    add(lists, shelf.byKeyName.get(key.name));
    for (const tag of key.tags) add(lists, shelf.byKeyTag.get(tag));
    if (shelf.rest.length > 0) lists.push(shelf.rest);
  }
  const filed = shelves.filter(({ byAddress }) => byAddress.size > 0);
  if (filed.length === 0) return { of: () => lists };
  return {
    of(effect) {
      const recipient = recipientOf(effect);
      const contract = tokenOf(effect)?.contract;
      const found = [...lists];
      for (const { byAddress } of filed) {
        if (typeof recipient === 'string') add(found, byAddress.get(recipient));
        if (contract !== undefined && contract !== recipient) add(found, byAddress.get(contract));
      }
      return found;
    },
  };
}

function add(lists: Rules[], rules: Rules | undefined): void {
  if (rules !== undefined) lists.push(rules);
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
