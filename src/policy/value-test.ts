import type { Hex } from '../bytes.ts';
import type { AbiValue } from '../effects/abi.ts';
import type { TypedValue } from '../intent/intent.ts';
import type { AddressTest, MemberTest, NumberTest, TextTest, ValueTest } from './model.ts';
import type { Subject } from './subject.ts';
import { list, quoteShort } from './wording.ts';

/** A comparison as closures over values that were parsed once. */
export interface Test<T> {
  passes(value: T, subject: Subject): boolean;
  /** `where: why it does not pass`. Only asked when it does not. */
  explain(where: string, value: T, subject: Subject): string;
}

/** A value inside arguments or a message; undefined where there is none. */
export type Value = AbiValue | TypedValue | undefined;

type Passes<T> = (value: T, subject: Subject) => boolean;

const MISSING = 'this request has none';

/** What is not there fails every comparison. */
export function compileOptional<T>(test: Test<T>): Test<T | undefined> {
  return {
    passes: (value, subject) => value !== undefined && test.passes(value, subject),
    explain: (where, value, subject) =>
      value === undefined ? `${where}: ${MISSING}` : test.explain(where, value, subject),
  };
}

export function compileNumberTest(test: NumberTest): Test<bigint> {
  return {
    passes: passesNumber(test),
    explain: (where, value, subject) => `${where}: ${explainNumber(value, test, subject)}`,
  };
}

function passesNumber(test: NumberTest): Passes<bigint> {
  const { eq, lt, lte, gt, gte, in: included, notIn: excluded, within } = test;
  const tests: Passes<bigint>[] = [];
  if (eq !== undefined) tests.push((value) => value === eq);
  if (lt !== undefined) tests.push((value) => value < lt);
  if (lte !== undefined) tests.push((value) => value <= lte);
  if (gt !== undefined) tests.push((value) => value > gt);
  if (gte !== undefined) tests.push((value) => value >= gte);
  if (included !== undefined) tests.push(isIn(included));
  if (excluded !== undefined) tests.push((value) => !excluded.has(value));
  if (within !== undefined) tests.push(isWithin(within));
  return conjunction(tests);
}

function conjunction<T>(tests: readonly Passes<T>[]): Passes<T> {
  const [only] = tests;
  return only !== undefined && tests.length === 1
    ? only
    : (value, subject) => tests.every((passes) => passes(value, subject));
}

/** Most rules name one chain, and comparing is much faster than hashing a bigint. */
function isIn(options: ReadonlySet<bigint>): Passes<bigint> {
  const [only] = options;
  return options.size === 1 ? (value) => value === only : (value) => options.has(value);
}

/** Of a time in seconds: neither past nor further away than `span` milliseconds. */
function isWithin(span: number): Passes<bigint> {
  return (value, { now }) => {
    const time = value * 1000n;
    return time >= BigInt(now) && time <= BigInt(now + span);
  };
}

function explainNumber(value: bigint, test: NumberTest, subject: Subject): string {
  for (const name of ['eq', 'lt', 'lte', 'gt', 'gte'] as const) {
    const bound = test[name];
    if (bound !== undefined && !passesNumber({ [name]: bound })(value, subject))
      return `${value} is not ${name} ${bound}`;
  }
  if (test.in?.has(value) === false) return `${value} is not in ${list(test.in)}`;
  if (test.notIn?.has(value) === true) return `${value} is in ${list(test.notIn)}`;
  return `${value} is not a time from now to ${test.within ?? 0} ms from now`;
}

/** Of a lower-case address. */
export function compileAddressTest(test: AddressTest): Test<string> {
  const { in: included, notIn: excluded, isSigner } = test;
  const tests: Passes<string>[] = [];
  if (included !== undefined) tests.push((value) => included.has(value as Hex));
  if (excluded !== undefined) tests.push((value) => !excluded.has(value as Hex));
  if (isSigner !== undefined) tests.push((value, { signer }) => (value === signer) === isSigner);
  return {
    passes: conjunction(tests),
    explain(where, value) {
      if (included?.has(value as Hex) === false) return `${where}: ${value} is not in ${list(included)}`;
      if (excluded?.has(value as Hex) === true) return `${where}: ${value} is in ${list(excluded)}`;
      return `${where}: ${value} is ${isSigner === false ? '' : 'not '}the address of the key`;
    },
  };
}

export function compileTextTest(test: TextTest, lengthOf = textLength): Test<string> {
  const { in: included, notIn: excluded, prefix, len } = test;
  const length = len === undefined ? undefined : compileNumberTest(len);
  const tests: Passes<string>[] = [];
  if (included !== undefined) tests.push((value) => included.has(value));
  if (excluded !== undefined) tests.push((value) => !excluded.has(value));
  if (prefix !== undefined) tests.push((value) => value.startsWith(prefix));
  if (length !== undefined) tests.push((value, subject) => length.passes(lengthOf(value), subject));
  return {
    passes: conjunction(tests),
    explain(where, value, subject) {
      const shown = quoteShort(value);
      if (included?.has(value) === false) return `${where}: ${shown} is not in ${list(included)}`;
      if (excluded?.has(value) === true) return `${where}: ${shown} is in ${list(excluded)}`;
      if (prefix !== undefined && !value.startsWith(prefix))
        return `${where}: ${shown} does not start with ${quoteShort(prefix)}`;
      return length?.explain(`${where}.len`, lengthOf(value), subject) ?? where;
    },
  };
}

function textLength(text: string): bigint {
  return BigInt(text.length);
}

/** Of bytes as `0x…`. */
function bytesLength(hex: string): bigint {
  return BigInt((hex.length - 2) / 2);
}

/** A value of another kind than the test's fails. */
export function compileValueTest(test: ValueTest): Test<Value> {
  switch (test.kind) {
    case 'number':
      return adapt(compileNumberTest(test.test), toNumber);
    case 'address':
      return adapt(compileAddressTest(test.test), toText);
    case 'text':
      return adapt(compileTextTest(test.test), toText);
    case 'bytes':
      return adapt(compileTextTest(test.test, bytesLength), toText);
    case 'bool':
      return {
        passes: (value) => value === test.eq,
        explain: (where) => `${where}: is not ${test.eq}`,
      };
    case 'list':
    default:
      return adapt(compileListTest(test), toList);
  }
}

function adapt<T>(test: Test<T>, convert: (value: Value) => T | undefined): Test<Value> {
  const optional = compileOptional(test);
  return {
    passes(value, subject) {
      const converted = convert(value);
      return converted !== undefined && test.passes(converted, subject);
    },
    explain: (where, value, subject) => optional.explain(where, convert(value), subject),
  };
}

const DECIMAL = /^-?[0-9]+$/;

/** Decoded arguments have bigints, typed data in canonical form has decimal texts. */
function toNumber(value: Value): bigint | undefined {
  if (typeof value === 'bigint') return value;
  return typeof value === 'string' && DECIMAL.test(value) ? BigInt(value) : undefined;
}

function toText(value: Value): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function toList(value: Value): readonly Value[] | undefined {
  return Array.isArray(value) ? (value as readonly Value[]) : undefined;
}

function compileListTest(test: Extract<ValueTest, { kind: 'list' }>): Test<readonly Value[]> {
  const length = test.len === undefined ? undefined : compileNumberTest(test.len);
  const every = test.every === undefined ? undefined : compileMembers(test.every);
  const some = test.some === undefined ? undefined : compileMembers(test.some);
  const isOfLength: Passes<readonly Value[]> = (items, subject) =>
    length === undefined || length.passes(BigInt(items.length), subject);
  return {
    passes: (items, subject) =>
      isOfLength(items, subject) &&
      (every === undefined || items.every((item) => every.passes(item, subject))) &&
      (some === undefined || items.some((item) => some.passes(item, subject))),
    explain(where, items, subject) {
      if (length !== undefined && !isOfLength(items, subject))
        return length.explain(`${where}.len`, BigInt(items.length), subject);
      const index = items.findIndex((item) => every?.passes(item, subject) === false);
      if (every !== undefined && index >= 0)
        return every.explain(`${where}[${index}]`, items[index], subject);
      return `${where}: none of ${items.length} passes \`some\``;
    },
  };
}

/** All members of a value have to pass. */
export function compileMembers(members: readonly MemberTest[]): Test<Value> {
  const tests = members.map(({ name, steps, test }) => ({ name, steps, test: compileValueTest(test) }));
  return {
    passes(value, subject) {
      for (const { steps, test } of tests) if (!test.passes(follow(value, steps), subject)) return false;
      return true;
    },
    explain(where, value, subject) {
      const failed = tests.find(({ steps, test }) => !test.passes(follow(value, steps), subject));
      if (failed === undefined) return where;
      const { name, steps, test } = failed;
      return test.explain(name === '' ? where : `${where}.${name}`, follow(value, steps), subject);
    },
  };
}

/** What is at the end of the steps; undefined where they lead nowhere. */
export function follow(value: Value, steps: readonly (number | string)[]): Value {
  let current = value;
  for (const step of steps) {
    if (typeof current !== 'object' || !Object.hasOwn(current, step)) return undefined;
    current = (current as { readonly [step: number | string]: Value })[step];
  }
  return current;
}
