import type { Hex } from '../bytes.ts';
import type { Condition, NumberTest, Predicate, Subject } from './model.ts';

/** Something that a condition restricts on every path on which it can hold. */
export type Bound =
  | 'chainId'
  | 'maxTotalFee'
  | 'create'
  | 'blobs'
  | 'authorizations.max'
  | 'authorizations.address'
  | 'authorizations.chainId'
  | 'digest.purpose';

/**
 * What holds whenever the condition holds. A conjunction binds what any branch binds; a disjunction only what
 * every branch binds, since any one branch may be the one that held; a negation binds nothing.
 */
export function boundsOf(condition: Condition | undefined): ReadonlySet<Bound> {
  if (condition === undefined || condition.kind === 'not') return new Set();
  if (condition.kind === 'all') return new Set(condition.of.flatMap((branch) => [...boundsOf(branch)]));
  if (condition.kind !== 'any') return new Set(boundsOfPredicate(condition));
  const [first = new Set<Bound>(), ...others] = condition.of.map(boundsOf);
  return others.reduce(intersect, first);
}

function boundsOfPredicate(predicate: Predicate): Bound[] {
  if (predicate.kind === 'number') {
    if (predicate.field === 'chainId' && isEnumerated(predicate.test)) return ['chainId'];
    return predicate.field === 'maxTotalFee' && isBoundedAbove(predicate.test) ? ['maxTotalFee'] : [];
  }
  if (predicate.kind === 'to') return predicate.create === true ? ['create'] : [];
  if (predicate.kind === 'blobs') return ['blobs'];
  if (predicate.kind === 'digest') return ['digest.purpose'];
  if (predicate.kind === 'accessList') return [];
  return [
    ...(predicate.max === undefined ? [] : ['authorizations.max' as const]),
    ...(predicate.address?.in === undefined ? [] : ['authorizations.address' as const]),
    ...(isEnumerated(predicate.chainId) ? ['authorizations.chainId' as const] : []),
  ];
}

/**
 * The chains on which the condition can hold; undefined when it does not say. The chain ids inside
 * `authorizations` do not count: they are not the chain of the transaction.
 */
export function chainsOf(condition: Condition | undefined): ReadonlySet<bigint> | undefined {
  return optionsOf(condition, (predicate) => {
    if (predicate.kind !== 'number' || predicate.field !== 'chainId') return undefined;
    const { eq, in: options } = predicate.test;
    return eq === undefined ? options : new Set([eq]);
  });
}

/** The recipients for which the condition can hold; undefined when it does not say. */
export function recipientsOf(condition: Condition | undefined): ReadonlySet<Hex> | undefined {
  return optionsOf(condition, (predicate) => (predicate.kind === 'to' ? predicate.test.in : undefined));
}

/** A superset of the values with which the condition can hold, from the ones that each predicate lists. */
function optionsOf<T>(
  condition: Condition | undefined,
  listed: (predicate: Predicate) => ReadonlySet<T> | undefined,
): ReadonlySet<T> | undefined {
  if (condition === undefined || condition.kind === 'not') return undefined;
  if (condition.kind !== 'all' && condition.kind !== 'any') return listed(condition);
  const known = condition.of.flatMap((branch) => optionsOf(branch, listed) ?? []);
  if (condition.kind === 'any') return known.length < condition.of.length ? undefined : known.reduce(unite);
  return known.length === 0 ? undefined : known.reduce(intersect);
}

function intersect<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...one].filter((item) => other.has(item)));
}

function unite<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...one, ...other]);
}

/** Whether the test names the values that pass one by one. */
function isEnumerated(test: NumberTest | undefined): boolean {
  return test?.eq !== undefined || test?.in !== undefined;
}

function isBoundedAbove(test: NumberTest): boolean {
  return test.lt !== undefined || test.lte !== undefined || test.eq !== undefined;
}

export const CALLDATA_UNCOVERED = 'calldata is not covered by any rule: this version does not decode calls';

/** Calldata to an address: a call whose effects this version cannot read, so no allow rule covers it. */
export function hasUndecodedCall(subject: Subject): boolean {
  return subject.operation === 'transaction' && subject.to !== null && subject.data !== '0x';
}

/**
 * The effect of a transaction that an allow rule does not cover although its condition holds, if there is one.
 * Value and fee are always covered: every allow rule for transactions bounds the fee, and value moves only as
 * the rule's predicates let it. Beyond these,
 * - calldata to an address is covered by no rule of this version;
 * - a contract creation, whose init code is not read, by a rule that says `to: { create: true }`;
 * - blobs by a rule that bounds `blobs`;
 * - delegations (EIP-7702) by a rule that bounds the length and the chains of `authorizations`;
 * - an access list has no effect but its gas, which the fee counts.
 * `bounds` are what the rule restricts on every path, so that no alternative of an `any` slips through.
 */
export function findUncovered(subject: Subject, bounds: ReadonlySet<Bound>): string | undefined {
  if (subject.operation !== 'transaction') return undefined;
  if (subject.to === null) {
    if (!bounds.has('create')) return 'to: a contract creation is not covered without `to: { create: true }`';
  } else if (subject.data !== '0x') return `data: ${CALLDATA_UNCOVERED}`;
  if (subject.txType === 3n && !bounds.has('blobs')) {
    return 'blobs: a blob transaction is not covered without `blobs: { max }`';
  }
  if (subject.txType === 4n && !(bounds.has('authorizations.max') && bounds.has('authorizations.chainId'))) {
    return 'authorizations: a set-code transaction is not covered without `authorizations: { max, every: { chainId } }`';
  }
  return undefined;
}
