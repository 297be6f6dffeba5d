import { MAX_UINT256 } from './amount.ts';
import type { AddressTest, Condition, Fault, NumberTest, Predicate, PurposeTest } from './model.ts';
import type { Path } from './problems.ts';

const MESSAGE = 'can never hold: no value passes every comparison of this conjunction; correct or remove one';

/**
 * Conjunctions that nothing can satisfy, such as a value both below 1 and above 2. Reports what is certain;
 * it does not search through alternatives.
 */
export function findContradictions(condition: Condition): Fault[] {
  if (condition.kind === 'any') return condition.of.flatMap(findContradictions);
  if (condition.kind === 'not') return findContradictions(condition.of);
  const parts = conjunctsOf(condition);
  const predicates = parts.filter((part) => part.kind !== 'any' && part.kind !== 'not');
  const nested = parts.filter((part) => part.kind === 'any' || part.kind === 'not');
  return [...findEmpty(predicates), ...nested.flatMap(findContradictions)];
}

/** The parts of nested `all`s, which are one conjunction. */
function conjunctsOf(condition: Condition): Exclude<Condition, { kind: 'all' }>[] {
  return condition.kind === 'all' ? condition.of.flatMap(conjunctsOf) : [condition];
}

/** One fault for each subject whose tests exclude each other, at the last of them. */
function findEmpty(predicates: readonly Predicate[]): Fault[] {
  const faults: Fault[] = [];
  const numbers = Map.groupBy(
    predicates.filter((predicate) => predicate.kind === 'number'),
    ({ field }) => field,
  );
  for (const group of numbers.values()) {
    report(isEmptyNumber(group.map(({ test }) => test)), group.at(-1)?.path);
  }
  const recipients = predicates.filter((predicate) => predicate.kind === 'to');
  const creates = recipients.some(({ create }) => create === true);
  const calls = recipients.some(
    ({ create, test }) => create === false || test.in !== undefined || test.notIn !== undefined,
  );
  report((creates && calls) || isEmptyAddress(recipients.map(({ test }) => test)), recipients.at(-1)?.path);
  const lists = predicates.filter((predicate) => predicate.kind === 'authorizations');
  report(
    isEmptyNumber(lists.flatMap(({ chainId }) => chainId ?? [])) ||
      isEmptyAddress(lists.flatMap(({ address }) => address ?? [])),
    lists.at(-1)?.path,
  );
  const digests = predicates.filter((predicate) => predicate.kind === 'digest');
  report(isEmptyPurpose(digests.map(({ purpose }) => purpose)), digests.at(-1)?.path);
  return faults;

  function report(isEmpty: boolean, path: Path | undefined): void {
    if (isEmpty && path !== undefined) faults.push({ path, message: MESSAGE });
  }
}

function isEmptyNumber(tests: readonly NumberTest[]): boolean {
  let low = 0n;
  let high = MAX_UINT256;
  for (const { eq, lt, lte, gt, gte } of tests) {
    low = max(low, eq, gte, gt === undefined ? undefined : gt + 1n);
    high = min(high, eq, lte, lt === undefined ? undefined : lt - 1n);
  }
  if (low > high) return true;
  const passes = (value: bigint): boolean =>
    value >= low &&
    value <= high &&
    tests.every((test) => (test.in?.has(value) ?? true) && test.notIn?.has(value) !== true);
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options !== undefined) return ![...options].some(passes);
  return low === high && !passes(low);
}

function isEmptyAddress(tests: readonly AddressTest[]): boolean {
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options === undefined) return false;
  return ![...options].some((address) =>
    tests.every((test) => (test.in?.has(address) ?? true) && test.notIn?.has(address) !== true),
  );
}

function isEmptyPurpose(tests: readonly PurposeTest[]): boolean {
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options === undefined) return false;
  return ![...options].some((purpose) =>
    tests.every((test) => (test.in?.has(purpose) ?? true) && purpose.startsWith(test.prefix ?? '')),
  );
}

function max(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((most, next) => (next !== undefined && next > most ? next : most), first);
}

function min(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((least, next) => (next !== undefined && next < least ? next : least), first);
}
