import { MAX_UINT256 } from './amount.ts';
import type { AddressTest, MemberTest, NumberTest, TextTest, ValueTest } from './model.ts';

/** The smallest number of any type that is compared: an int256. */
const MIN_INT256 = -(2n ** 255n);

/** Whether no number from `min` up passes all tests, whatever the time is. */
export function isEmptyNumber(tests: readonly NumberTest[], min = 0n): boolean {
  let low = min;
  let high = MAX_UINT256;
  for (const { eq, lt, lte, gt, gte } of tests) {
    low = most(low, eq, gte, gt === undefined ? undefined : gt + 1n);
    high = least(high, eq, lte, lt === undefined ? undefined : lt - 1n);
  }
  if (low > high) return true;
  if (isEmptyChoice(tests, (value) => value >= low && value <= high)) return true;
  return low === high && isEmptyChoice([...tests, { in: new Set([low]) }], () => true);
}

export function isEmptyAddress(tests: readonly AddressTest[]): boolean {
  const asked = new Set(tests.flatMap(({ isSigner }) => isSigner ?? []));
  return asked.size > 1 || isEmptyChoice(tests, () => true);
}

/** @param lengthOf what `len` counts. */
export function isEmptyText(tests: readonly TextTest[], lengthOf = (text: string) => text.length): boolean {
  const prefixes = tests.flatMap(({ prefix }) => prefix ?? []);
  const longest = prefixes.reduce((one, other) => (other.length > one.length ? other : one), '');
  if (!prefixes.every((prefix) => longest.startsWith(prefix))) return true;
  const lengths = tests.flatMap(({ len }) => len ?? []);
  if (isEmptyNumber([...lengths, { gte: BigInt(Math.max(lengthOf(longest), 0)) }])) return true;
  const [length, ...others] = lengths;
  return isEmptyChoice(
    tests,
    (text) =>
      text.startsWith(longest) &&
      // More than one `len` in a conjunction is rare, and every option would be held against each.
      (length === undefined || others.length > 0 || !isEmptyNumber([length, { eq: BigInt(lengthOf(text)) }])),
  );
}

/** Of bytes in hex. */
function isEmptyBytes(tests: readonly TextTest[]): boolean {
  return isEmptyText(tests, (hex) => hex.length / 2 - 1);
}

/** Whether two of the tests, or one alone, exclude each other on the same value inside arguments or a message. */
export function isEmptyMembers(tests: readonly MemberTest[]): boolean {
  const groups = Map.groupBy(tests, ({ steps }) => steps.join('.'));
  return [...groups.values()].some((group) => isEmptyValue(group.map(({ test }) => test)));
}

function isEmptyValue(tests: readonly ValueTest[]): boolean {
  const numbers = tests.flatMap((one) => (one.kind === 'number' ? one.test : []));
  const addresses = tests.flatMap((one) => (one.kind === 'address' ? one.test : []));
  const texts = tests.flatMap((one) => (one.kind === 'text' ? one.test : []));
  const bytes = tests.flatMap((one) => (one.kind === 'bytes' ? one.test : []));
  const booleans = new Set(tests.flatMap((one) => (one.kind === 'bool' ? one.eq : [])));
  const lists = tests.flatMap((one) => (one.kind === 'list' ? one : []));
  return (
    isEmptyNumber(numbers, MIN_INT256) ||
    isEmptyAddress(addresses) ||
    isEmptyText(texts) ||
    isEmptyBytes(bytes) ||
    booleans.size > 1 ||
    isEmptyNumber(lists.flatMap(({ len }) => len ?? [])) ||
    // What no item passes, `every` still holds of an empty list.
    lists.some(({ some = [] }) => isEmptyMembers(some))
  );
}

interface Choice<T> {
  readonly in?: ReadonlySet<T>;
  readonly notIn?: ReadonlySet<T>;
}

/**
 * Whether the tests list what may pass and nothing listed passes them all. Takes time in proportion to the items, not to
 * items times tests: the smallest list is held against the others, each of which has as many items at least.
 */
function isEmptyChoice<T>(tests: readonly Choice<T>[], passes: (value: T) => boolean): boolean {
  const lists = new Set(tests.flatMap((test) => test.in ?? []));
  const [smallest, ...others] = [...lists].sort((one, other) => one.size - other.size);
  if (smallest === undefined) return false;
  const excluded = [...new Set(tests.flatMap(({ notIn }) => notIn ?? []))];
  const left = new Set(
    [...smallest].filter((value) => passes(value) && others.every((list) => list.has(value))),
  );
  for (const list of excluded) {
    if (list.size > left.size) for (const value of left) if (list.has(value)) left.delete(value);
    if (list.size <= left.size) for (const value of list) left.delete(value);
  }
  return left.size === 0;
}

function most(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((found, next) => (next !== undefined && next > found ? next : found), first);
}

function least(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((found, next) => (next !== undefined && next < found ? next : found), first);
}
