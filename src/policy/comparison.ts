import type { Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { readAddress } from '../intent/fields.ts';
import { PURPOSE, PURPOSE_FORM } from '../intent/intent.ts';
import type { JsonValue } from '../jcs.ts';
import type { Parsed } from './amount.ts';
import type { AddressTest, NumberTest, PurposeTest } from './model.ts';
import { isList, readList, readMapping, readText, type Path, type Problems } from './read.ts';

/** Comparisons that the grammar has and this version does not evaluate. */
const LATER = ['within', 'len', 'isSigner', 'every', 'some'];

const ORDERED = ['eq', 'lt', 'lte', 'gt', 'gte'] as const;

export type Lists = ReadonlyMap<string, ReadonlySet<Hex>>;

/** `{ eq | lt | lte | gt | gte: number, in | notIn: [number] }`, all of them required to hold. */
export function readNumberTest(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  parse: (value: JsonValue) => Parsed,
): NumberTest {
  const members = readMapping(value, path, problems, { known: [...ORDERED, 'in', 'notIn'], later: LATER });
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
  if (members?.size === 0)
    problems.add(path, `compares with nothing; write for example { ${ORDERED[0]}: … }`);
  return test;
}

/** `{ eq: address, in | notIn: [address] | $list }`, all of them required to hold. */
export function readAddressTest(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  lists: Lists,
): AddressTest {
  const members = readMapping(value, path, problems, { known: ['eq', 'in', 'notIn'], later: LATER });
  if (members?.size === 0) problems.add(path, 'compares with nothing; write { in: ["0x…"] }');
  const eq = members?.get('eq');
  const included = members?.get('in');
  const excluded = members?.get('notIn');
  if (eq !== undefined && included !== undefined) {
    problems.add([...path, 'eq'], 'says what `in` says; keep one of the two', 'key');
  }
  const one = eq === undefined ? undefined : readOneAddress(eq, [...path, 'eq'], problems);
  return {
    ...(one === undefined ? {} : { in: new Set([one]) }),
    ...(included === undefined ? {} : { in: readAddresses(included, [...path, 'in'], problems, lists) }),
    ...(excluded === undefined
      ? {}
      : { notIn: readAddresses(excluded, [...path, 'notIn'], problems, lists) }),
  };
}

/** A list of addresses, or `$name` for one of the document's lists. */
export function readAddresses(
  value: JsonValue,
  path: Path,
  problems: Problems,
  lists: Lists,
): ReadonlySet<Hex> {
  if (typeof value !== 'string') {
    return readList(value, path, problems, (item, itemPath) => readOneAddress(item, itemPath, problems));
  }
  const list = value.startsWith('$') ? lists.get(value.slice(1)) : undefined;
  if (list === undefined) {
    const known =
      lists.size === 0 ? 'there are none' : [...lists.keys()].map((name) => `$${name}`).join(', ');
    problems.add(
      path,
      `is neither a list of addresses nor a list under \`lists\` (${known}); write ["0x…"] or $name`,
    );
  }
  return list ?? new Set();
}

export function readOneAddress(value: JsonValue, path: Path, problems: Problems): Hex | undefined {
  try {
    return readAddress(value, 'address');
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    problems.add(path, `${error.errors[0]?.message ?? error.message}; write it in quotes`);
    return undefined;
  }
}

/** `{ eq: text, in: [text], prefix: text }`, all of them required to hold. */
export function readPurposeTest(value: JsonValue | undefined, path: Path, problems: Problems): PurposeTest {
  const members = readMapping(value, path, problems, {
    known: ['eq', 'in', 'prefix'],
    later: [...LATER, 'notIn'],
  });
  if (members?.size === 0) problems.add(path, 'compares with nothing; write { eq: "purpose" }');
  const readOne = (item: JsonValue, itemPath: Path): string | undefined =>
    readText(item, itemPath, problems, PURPOSE, `a purpose is ${PURPOSE_FORM}`);
  const eq = members?.get('eq');
  const included = members?.get('in');
  const prefix = members?.get('prefix');
  if (eq !== undefined && included !== undefined) {
    problems.add([...path, 'eq'], 'says what `in` says; keep one of the two', 'key');
  }
  const options = included ?? (eq === undefined ? undefined : [eq]);
  const optionsPath = included === undefined ? [...path, 'eq'] : [...path, 'in'];
  const start = prefix === undefined ? undefined : readOne(prefix, [...path, 'prefix']);
  return {
    ...(options === undefined
      ? {}
      : {
          in: readList(options, optionsPath, problems, (item, itemPath) =>
            readOne(item, included === undefined ? optionsPath : itemPath),
          ),
        }),
    ...(start === undefined ? {} : { prefix: start }),
  };
}

/** A count from 0, as a JSON integer or decimal text. */
export function readCount(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  parse: (value: JsonValue) => Parsed,
): number | undefined {
  const parsed = value === undefined || isList(value) ? undefined : parse(value);
  if (parsed !== undefined && 'value' in parsed && parsed.value <= MAX_COUNT) return Number(parsed.value);
  problems.add(path, `must be a whole number from 0 to ${MAX_COUNT}`);
  return undefined;
}

/** More entries than any block could hold. */
const MAX_COUNT = 1_000_000n;
