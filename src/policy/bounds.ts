import type { CallEffect, Effect } from '../effects/effect.ts';
import { isBatch } from '../effects/functions.ts';
import { PERMIT2 } from '../effects/tokens.ts';
import type { Condition, NumberTest, Predicate } from './model.ts';
import type { Subject } from './subject.ts';

/** Something that a condition restricts on every path on which it can hold. */
export type Bound =
  | 'chainId'
  | 'maxTotalFee'
  /** The recipient, by a list. */
  | 'to'
  | 'create'
  | 'blobs'
  | 'authorizations.max'
  | 'authorizations.address'
  | 'authorizations.chainId'
  | 'digest.purpose'
  /** What is called with which data: by `call` or `token`. */
  | 'calldata'
  /** Which function is called: by `call`. */
  | 'call'
  /** The contract that is called, by a list, with its function. */
  | 'call.to'
  /** That it is a delegatecall. */
  | 'call.delegate'
  | 'token'
  | 'typed.type';

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
  switch (predicate.kind) {
    case 'number':
      if (predicate.field === 'chainId' && isEnumerated(predicate.test)) return ['chainId'];
      return predicate.field === 'maxTotalFee' && isBoundedAbove(predicate.test) ? ['maxTotalFee'] : [];
    case 'to':
      return [...when('create', predicate.create === true), ...when('to', predicate.test.in !== undefined)];
    case 'authorizations':
      return [
        ...when('authorizations.max', predicate.max !== undefined),
        ...when('authorizations.address', predicate.address?.in !== undefined),
        ...when('authorizations.chainId', isEnumerated(predicate.chainId)),
      ];
    case 'call':
      return [
        'calldata',
        'call',
        ...when('call.to', predicate.to?.in !== undefined),
        ...when('call.delegate', predicate.delegate === true),
      ];
    case 'token':
      return ['calldata', 'token'];
    case 'typed':
      return when('typed.type', predicate.type !== undefined);
    case 'create':
    case 'blobs':
      return [predicate.kind];
    case 'digest':
      return ['digest.purpose'];
    case 'accessList':
    case 'message':
    default:
      return [];
  }
}

function when(bound: Bound, isBound: boolean): Bound[] {
  return isBound ? [bound] : [];
}

function intersect<T>(one: ReadonlySet<T>, other: ReadonlySet<T>): ReadonlySet<T> {
  return new Set([...one].filter((item) => other.has(item)));
}

/** Whether the test names the values that pass one by one. */
function isEnumerated(test: NumberTest | undefined): boolean {
  return test?.eq !== undefined || test?.in !== undefined;
}

function isBoundedAbove(test: NumberTest): boolean {
  return test.lt !== undefined || test.lte !== undefined || test.eq !== undefined;
}

/**
 * Why an allow rule does not cover an effect although its condition holds; undefined when it does. `bounds` are what
 * the rule restricts on every path, so that no alternative of an `any` slips through. Value and fee are always covered:
 * every allow rule for transactions bounds the fee, and value moves only as the rule's predicates let it. An access
 * list has no effect but its gas, which the fee counts.
 */
export function findUncovered(
  subject: Subject,
  effect: Effect,
  bounds: ReadonlySet<Bound>,
): string | undefined {
  return findUncoveredEnvelope(subject, bounds) ?? findUncoveredEffect(subject, effect, bounds);
}

function findUncoveredEnvelope({ txType }: Subject, bounds: ReadonlySet<Bound>): string | undefined {
  if (txType === 3n && !bounds.has('blobs')) {
    return 'blobs: a blob transaction is not covered without `blobs: { max }`';
  }
  if (txType === 4n && !(bounds.has('authorizations.max') && bounds.has('authorizations.chainId'))) {
    return 'authorizations: a set-code transaction is not covered without `authorizations: { max, every: { chainId } }`';
  }
  return undefined;
}

function findUncoveredEffect(
  subject: Subject,
  effect: Effect,
  bounds: ReadonlySet<Bound>,
): string | undefined {
  if (effect.kind === 'create' && !bounds.has('create')) {
    return 'to: a contract creation is not covered without `to: { create: true }` or `create`';
  }
  if (effect.kind === 'typed-data' && effect.exposure && !bounds.has('typed.type') && !bounds.has('token')) {
    return 'typed: a permit or an order is not covered without `typed: { type }` or `token`';
  }
  if (effect.kind !== 'call') return undefined;
  // The code at the address is all that the effect is, so that no other predicate says what it does. Whoever lets a
  // function be called has not said that its code may run as the caller; of a batch, the calls inside say what it does.
  if (effect.delegate && !bounds.has('call.to')) {
    return 'call: a delegatecall is not covered without `call: { to: { in } }`';
  }
  if (effect.delegate && !bounds.has('call.delegate') && !isBatch(effect.data)) {
    return 'call: a delegatecall is not covered without `call: { delegate: true }`';
  }
  // The type of the typed data says that there are calls inside, and the rule's author let them be.
  if (bounds.has('call') || (subject.typed !== undefined && bounds.has('typed.type'))) return undefined;
  if (bounds.has('calldata')) {
    return isCalledAt(effect) || bounds.has('to')
      ? undefined
      : 'token: a call of another contract than the token is not covered without `to: { in }` or `call`';
  }
  if (effect.data !== '0x') return 'call: calldata is not covered without `call` or `token`';
  return subject.typed === undefined || bounds.has('to')
    ? undefined
    : 'to: a transfer by typed data is not covered without `to: { in }` or `typed: { type }`';
}

/**
 * Whether what the call does with a token is what the contract that it calls does: the token itself, or Permit2. Any
 * other contract may have Permit2's functions and name the token, but do with the call and its value what it likes.
 */
function isCalledAt({ to, token }: CallEffect): boolean {
  return token === undefined || to === token.contract || to === PERMIT2;
}
