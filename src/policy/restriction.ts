import type { DecoderOf } from './decoders.ts';
import type { AddressTest, Condition, MemberTest, NumberTest, Predicate, Rule, ValueTest } from './model.ts';
import {
  ADDRESS,
  argumentOf,
  ENCODE_TYPE,
  firstOf,
  KEY,
  lengthOf,
  numberOf,
  PRINCIPAL,
  SELECTOR,
  startOf,
  TOKEN_ACTION,
  tokenNumber,
  tokenParty,
  type Trait,
} from './trait.ts';
import { compileValueTest, type Test, type Value } from './value-test.ts';

/**
 * What a rule demands of a trait, at least. An effect without a value that passes is one to which the rule does not apply,
 * for certain: nothing else that is in the rule could be an error that matters.
 */
export type Restriction = Listed | Excluding | Ranged | Tested;

export interface Listed {
  readonly trait: Trait;
  readonly values: ReadonlySet<Value>;
}

export interface Excluding {
  readonly trait: Trait;
  readonly excluded: ReadonlySet<Value>;
}

/**
 * Both ends inclusive, and as doubles: rounding keeps the order, so that what is outside of the rounded range is
 * outside of the exact one.
 */
export interface Ranged {
  readonly trait: Trait;
  readonly low: number;
  readonly high: number;
}

/** Whatever else is asked of a value. */
export interface Tested {
  readonly trait: Trait;
  readonly test: Test<Value>;
  /** Differs where tests differ, but for long lists. */
  readonly text: string;
}

/** Longer lists are no use to the index, and would make it grow faster than the document. */
export const MAX_LISTED = 64;

/** Of a conjunction, there may be several of one trait. */
export function restrictionsOf(
  { principals, keys, when }: Rule,
  decoderOf: DecoderOf,
): readonly Restriction[] {
  return [
    ...(principals === undefined ? [] : listed(PRINCIPAL, new Set([...principals.ids, ...principals.roles]))),
    ...(keys === undefined || keys.every ? [] : listed(KEY, new Set([...keys.names, ...keys.tags]))),
    ...(when === undefined ? [] : ofCondition(when, decoderOf)),
  ];
}

/** What holds on every path: of a disjunction, only what every branch restricts; of a negation nothing. */
function ofCondition(condition: Condition, decoderOf: DecoderOf): readonly Restriction[] {
  if (condition.kind === 'not') return [];
  if (condition.kind === 'all') return condition.of.flatMap((branch) => ofCondition(branch, decoderOf));
  if (condition.kind !== 'any') return ofPredicate(condition, decoderOf);
  const [first, ...others] = condition.of.map((branch) => byTrait(ofCondition(branch, decoderOf)));
  if (first === undefined) return [];
  return [...first].flatMap(([name, restriction]) => {
    let united: Restriction | undefined = restriction;
    for (const branch of others) united = united && unite(united, branch.get(name));
    return united ?? [];
  });
}

/**
 * One of each trait: the one that tells most apart, as far as that can be known. What all of them say together cannot be
 * used, since an effect may have several values of a trait, and pass each by another.
 */
export function byTrait(restrictions: readonly Restriction[]): ReadonlyMap<string, Restriction> {
  const found = new Map<string, Restriction>();
  for (const each of restrictions) {
    const known = found.get(each.trait.name);
    if (known === undefined || sizeOf(each) < sizeOf(known)) found.set(each.trait.name, each);
  }
  return found;
}

function sizeOf(restriction: Restriction): number {
  if ('values' in restriction) return restriction.values.size;
  return 'test' in restriction ? Infinity : Number.MAX_VALUE;
}

function unite(one: Restriction, other: Restriction | undefined): Restriction | undefined {
  const { trait } = one;
  if (other === undefined) return undefined;
  if ('values' in one && 'values' in other) {
    const values = new Set([...one.values, ...other.values]);
    return values.size > MAX_LISTED ? undefined : { trait, values };
  }
  if ('low' in one && 'low' in other)
    return { trait, low: Math.min(one.low, other.low), high: Math.max(one.high, other.high) };
  if ('excluded' in one && 'excluded' in other) {
    const excluded = new Set([...one.excluded].filter((value) => other.excluded.has(value)));
    return excluded.size === 0 ? undefined : { trait, excluded };
  }
  return undefined;
}

function ofPredicate(predicate: Predicate, decoderOf: DecoderOf): readonly Restriction[] {
  switch (predicate.kind) {
    case 'number':
      return ofNumber(numberOf(predicate.field), predicate.test);
    case 'to':
      return listed(ADDRESS, predicate.test.in);
    case 'call': {
      const { to, fn, args } = predicate;
      return [
        ...listed(ADDRESS, to?.in),
        ...listed(SELECTOR, new Set([fn.selector])),
        ...args.flatMap(({ steps, test }: MemberTest) => ofValue(argumentOf(fn, steps, decoderOf), test)),
      ];
    }
    case 'token': {
      const { token, actions, from, to, spender, amount, tokenId } = predicate;
      return [
        ...listed(ADDRESS, new Set([token.address])),
        ...listed(TOKEN_ACTION, actions),
        ...ofAddress(tokenParty('from'), from),
        ...ofAddress(tokenParty('to'), to),
        ...ofAddress(tokenParty('spender'), spender),
        ...ofNumber(tokenNumber('amount', token), amount),
        ...ofNumber(tokenNumber('tokenId', token), tokenId),
      ];
    }
    case 'typed':
      return listed(ENCODE_TYPE, predicate.type === undefined ? undefined : new Set([predicate.type]));
    case 'accessList':
    case 'blobs':
    case 'create':
    case 'authorizations':
    case 'message':
    case 'digest':
    default:
      return [];
  }
}

function listed(trait: Trait, values: ReadonlySet<Value> | undefined): readonly Listed[] {
  return values === undefined || values.size > MAX_LISTED ? [] : [{ trait, values }];
}

function excluding(trait: Trait, excluded: ReadonlySet<Value> | undefined): readonly Excluding[] {
  return excluded === undefined ? [] : [{ trait, excluded }];
}

function ofAddress(trait: Trait, test: AddressTest | undefined): readonly Restriction[] {
  return test?.in === undefined ? excluding(trait, test?.notIn) : listed(trait, test.in);
}

function ofValue(trait: Trait, test: ValueTest): readonly Restriction[] {
  const restrictions = fromValue(trait, test);
  return restrictions.length > 0
    ? restrictions
    : [{ trait, test: compileValueTest(test), text: textOf(test) }];
}

function fromValue(trait: Trait, test: ValueTest): readonly Restriction[] {
  switch (test.kind) {
    case 'number':
      return ofNumber(trait, test.test);
    case 'address':
      return ofAddress(trait, test.test);
    case 'text':
    case 'bytes': {
      const { in: options, prefix, len, notIn } = test.test;
      if (options !== undefined) return listed(trait, options);
      if (prefix !== undefined) return listed(startOf(trait, prefix.length), new Set([prefix]));
      return len === undefined ? excluding(trait, notIn) : ofNumber(lengthOf(trait, test.kind), len);
    }
    case 'bool':
      return listed(trait, new Set([test.eq]));
    case 'list':
    default: {
      const { len, every = [] } = test;
      return [
        ...ofNumber(lengthOf(trait, 'list'), len),
        ...every.flatMap((each) => ofValue(firstOf(trait, each.steps), each.test)),
      ];
    }
  }
}

/** Of long lists it says the length only: two that are alike are counted as one, which does no harm. */
function textOf(test: ValueTest): string {
  return JSON.stringify(test, (_, value: unknown) => {
    if (value instanceof Set)
      return value.size > MAX_LISTED ? value.size : [...(value as ReadonlySet<unknown>)];
    return typeof value === 'bigint' ? `${value}` : value;
  });
}

function ofNumber(trait: Trait, test: NumberTest | undefined): readonly Restriction[] {
  if (test === undefined) return [];
  const { eq, in: options, notIn, lt, lte, gt, gte } = test;
  if (eq !== undefined) return listed(trait, new Set([eq]));
  if (options !== undefined) return listed(trait, options);
  const low = Math.max(...[gt, gte].map((bound) => (bound === undefined ? -Infinity : Number(bound))));
  const high = Math.min(...[lt, lte].map((bound) => (bound === undefined ? Infinity : Number(bound))));
  return low === -Infinity && high === Infinity ? excluding(trait, notIn) : [{ trait, low, high }];
}
