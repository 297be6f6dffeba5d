import type { Bound } from './bounds.ts';
import type { Subject } from './subject.ts';

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
