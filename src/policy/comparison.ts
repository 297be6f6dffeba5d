import type { Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { readAddress } from '../intent/fields.ts';
import { PURPOSE, PURPOSE_FORM } from '../intent/intent.ts';
import type { JsonValue } from '../jcs.ts';
import { parseInteger, type Parsed } from './amount.ts';
import type { ListContext } from './context.ts';
import { readDuration } from './moment.ts';
import type { AddressTest, NumberTest, PurposeTest, TextTest } from './model.ts';
import {
  isList,
  listNames,
  readBoolean,
  readList,
  readMapping,
  readText,
  type Mapping,
  type Path,
  type Problems,
} from './read.ts';

const ORDERED = ['eq', 'lt', 'lte', 'gt', 'gte'] as const;
const OF_NUMBERS = [...ORDERED, 'in', 'notIn'];
const OF_ADDRESSES = ['eq', 'in', 'notIn', 'isSigner'];

/**
 * `{ eq | lt | lte | gt | gte: number, in | notIn: [number] }`, all of them required to hold; `{ within: "1h" }` too
 * where the number `mayBeTime`.
 */
export function readNumberTest(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  parse: (value: JsonValue) => Parsed,
  mayBeTime = false,
): NumberTest {
  const members = readMapping(value, path, problems, mayBeTime ? [...OF_NUMBERS, 'within'] : OF_NUMBERS);
  const readOne = (item: JsonValue, itemPath: Path): bigint | undefined => {
    const parsed = parse(item);
    if ('value' in parsed) return parsed.value;
    problems.add(itemPath, parsed.problem);
    return undefined;
  };
  const test: { -readonly [K in keyof NumberTest]: NumberTest[K] } = {};
  for (const name of ORDERED) {
    const member = members?.get(name);
    const bound = member === undefined ? undefined : readOne(member, [...path, name]);
    if (bound !== undefined) test[name] = bound;
  }
  for (const name of ['in', 'notIn'] as const) {
    const member = members?.get(name);
    if (member !== undefined) test[name] = readList(member, [...path, name], problems, readOne);
  }
  if (members?.has('within') === true) {
    const within = readDuration(members.get('within'), [...path, 'within'], problems);
    if (within !== undefined) test.within = within;
  }
  if (members?.size === 0)
    problems.add(path, `compares with nothing; write for example { ${ORDERED[0]}: … }`);
  return test;
}

/** `{ eq: address, in | notIn: [address] | $list, isSigner: true | false }`, all of them required to hold. */
export function readAddressTest(value: JsonValue | undefined, path: Path, context: ListContext): AddressTest {
  const { problems } = context;
  const members = readMapping(value, path, problems, OF_ADDRESSES);
  if (members?.size === 0) problems.add(path, 'compares with nothing; write { in: ["0x…"] }');
  const eq = members?.get('eq');
  const included = members?.get('in');
  const excluded = members?.get('notIn');
  refuseBoth(members, path, problems);
  const one = eq === undefined ? undefined : readOneAddress(eq, [...path, 'eq'], problems);
  const isSigner = members?.has('isSigner')
    ? readBoolean(members.get('isSigner'), [...path, 'isSigner'], problems)
    : undefined;
  return {
    ...(one === undefined ? {} : { in: new Set([one]) }),
    ...(included === undefined ? {} : { in: readAddresses(included, [...path, 'in'], context) }),
    ...(excluded === undefined ? {} : { notIn: readAddresses(excluded, [...path, 'notIn'], context) }),
    ...(isSigner === undefined ? {} : { isSigner }),
  };
}

function refuseBoth(members: Mapping | undefined, path: Path, problems: Problems): void {
  if (members?.has('eq') === true && members.has('in')) {
    problems.add([...path, 'eq'], 'says what `in` says; keep one of the two', 'key');
  }
}

/** A list of addresses, or `$name` for one of the document's lists. */
export function readAddresses(
  value: JsonValue,
  path: Path,
  { problems, quota, lists }: ListContext,
): ReadonlySet<Hex> {
  if (typeof value !== 'string') {
    return readList(value, path, problems, (item, itemPath) => readOneAddress(item, itemPath, problems));
  }
  const list = value.startsWith('$') ? lists.get(value.slice(1)) : undefined;
  if (list === undefined) {
    problems.add(
      path,
      `is neither a list of addresses nor a list under \`lists\` (${listNames(lists.keys(), '$')}); write ["0x…"] or $name`,
    );
  }
  quota.spend('items in comparisons and selectors', path, list?.size);
  return list ?? new Set();
}

export function readOneAddress(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): Hex | undefined {
  try {
    return readAddress(value, 'address');
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    problems.add(path, `${error.errors[0]?.message ?? error.message}; write it in quotes`);
    return undefined;
  }
}

/** How one kind of text or bytes is compared. */
export interface TextForm {
  /** Comparisons that it has. */
  readonly known: readonly ('eq' | 'in' | 'notIn' | 'prefix' | 'len')[];
  readonly example: string;
  readonly read: (item: JsonValue, path: Path) => string | undefined;
  readonly readPrefix: (item: JsonValue, path: Path) => string | undefined;
}

/** `{ eq: text, in | notIn: [text], prefix: text, len: { lte: 10 } }`, as far as the form has them; all must hold. */
export function readTextTest(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  { known, example, read, readPrefix }: TextForm,
): TextTest {
  const members = readMapping(value, path, problems, known);
  if (members?.size === 0) problems.add(path, `compares with nothing; write ${example}`);
  refuseBoth(members, path, problems);
  const test: { -readonly [K in keyof TextTest]: TextTest[K] } = {};
  for (const [name, member] of members ?? []) {
    const memberPath = [...path, name];
    if (name === 'eq') {
      const one = read(member, memberPath);
      if (one !== undefined) test.in = new Set([one]);
    } else if (name === 'prefix') {
      const prefix = readPrefix(member, memberPath);
      if (prefix !== undefined) test.prefix = prefix;
    } else if (name === 'len') {
      test.len = readNumberTest(member, memberPath, problems, parseInteger);
    } else if (name === 'in' || name === 'notIn') {
      test[name] = readList(member, memberPath, problems, read);
    }
  }
  return test;
}

/** Text as it may be signed: with a UTF-8 form. Compared unit by unit: neither case nor Unicode forms are folded. */
export function textForm(problems: Problems): TextForm {
  const read = (item: JsonValue, path: Path, least = 0): string | undefined => {
    const text = readText(item, path, problems, /^/, '');
    if (text === undefined) return undefined;
    if (!text.isWellFormed()) problems.add(path, 'has a lone surrogate, which no signed text has; remove it');
    else if (text.length < least) problems.add(path, 'is empty and begins every text; remove it');
    else return text;
    return undefined;
  };
  return {
    known: ['eq', 'in', 'notIn', 'prefix', 'len'],
    example: '{ eq: "text" }',
    read: (item, path) => read(item, path),
    readPrefix: (item, path) => read(item, path, 1),
  };
}

const HEX = /^0x(?:[0-9a-fA-F]{2})*$/;

/** Bytes as hex; `size` where there is one size only, which then needs no `len`. */
export function bytesForm(problems: Problems, size?: number): TextForm {
  const read = (item: JsonValue, path: Path, min: number, max: number): string | undefined => {
    const text = readText(item, path, problems, HEX, 'write bytes as quoted hex: "0x", then two digits each');
    const length = text === undefined ? min : text.length / 2 - 1;
    if (length >= min && length <= max) return text?.toLowerCase();
    const wanted = min === max ? `exactly ${min}` : `from ${min} to ${max}`;
    problems.add(path, max === Infinity ? 'is empty; remove it' : `has ${length} bytes; write ${wanted}`);
    return undefined;
  };
  return {
    known: size === undefined ? ['eq', 'in', 'notIn', 'prefix', 'len'] : ['eq', 'in', 'notIn', 'prefix'],
    example: '{ eq: "0x…" }',
    read: (item, path) => read(item, path, size ?? 0, size ?? Infinity),
    readPrefix: (item, path) => read(item, path, 1, size ?? Infinity),
  };
}

/** `{ eq: text, in: [text], prefix: text }`, all of them required to hold. */
export function readPurposeTest(value: JsonValue | undefined, path: Path, problems: Problems): PurposeTest {
  const read = (item: JsonValue, itemPath: Path): string | undefined =>
    readText(item, itemPath, problems, PURPOSE, `a purpose is ${PURPOSE_FORM}`);
  const { in: options, prefix } = readTextTest(value, path, problems, {
    known: ['eq', 'in', 'prefix'],
    example: '{ eq: "purpose" }',
    read,
    readPrefix: read,
  });
  return {
    ...(options === undefined ? {} : { in: options }),
    ...(prefix === undefined ? {} : { prefix }),
  };
}

/** A count from `min`, as a JSON integer or decimal text. */
export function readCount(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  { min = 0, max = MAX_COUNT }: { readonly min?: number; readonly max?: number } = {},
): number | undefined {
  const parsed = value === undefined || isList(value) ? undefined : parseInteger(value);
  if (parsed !== undefined && 'value' in parsed && parsed.value >= min && parsed.value <= max) {
    return Number(parsed.value);
  }
  problems.add(path, `must be a whole number from ${min} to ${max}`);
  return undefined;
}

/** More entries than any block could hold. */
const MAX_COUNT = 1_000_000;
