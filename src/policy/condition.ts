import type { JsonValue } from '../jcs.ts';
import { parseAmount, parseInteger, type Parsed } from './amount.ts';
import { readCall, readCreate, readTokenPredicate } from './call-predicates.ts';
import { readAddresses, readAddressTest, readCount, readNumberTest, readPurposeTest } from './comparison.ts';
import type { Context } from './context.ts';
import { readMessage, readTyped } from './message-predicates.ts';
import { AMOUNT_FIELDS, INTEGER_FIELDS, type Condition, type NumberField } from './model.ts';
import { isList, readBoolean, readMapping, type Path } from './read.ts';

const CONDITIONS = [
  'all',
  'any',
  'not',
  ...INTEGER_FIELDS,
  ...AMOUNT_FIELDS,
  'to',
  'accessList',
  'blobs',
  'authorizations',
  'create',
  'call',
  'token',
  'typed',
  'message',
  'digest',
];

/** Deeper than a person can follow; bounds the recursion of everything that walks a condition. */
const MAX_DEPTH = 16;

/** EIP-2718 types that are signed: legacy, 2930, 1559, 4844, 7702. */
const MAX_TX_TYPE = 4n;

/** Reads `when`. Where something is wrong it is reported, and what remains is for the checks of other parts. */
export function readCondition(
  value: JsonValue | undefined,
  path: Path,
  context: Context,
  depth = 1,
): Condition | undefined {
  const { problems, quota } = context;
  quota.spend('conditions', path);
  if (depth > MAX_DEPTH) {
    problems.add(path, `conditions are nested more than ${MAX_DEPTH} levels deep; split the rule`);
    return undefined;
  }
  if (value !== undefined && value !== null && isList(value)) {
    problems.add(
      path,
      'is a list; write { all: […] } if every item must hold, { any: […] } if one is enough',
    );
    return undefined;
  }
  const count = problems.count;
  const members = readMapping(value, path, problems, CONDITIONS);
  if (members === undefined) return undefined;
  const [first, second] = members;
  if (first === undefined) {
    if (problems.count === count) problems.add(path, 'is empty; write one condition');
    return undefined;
  }
  if (second !== undefined) {
    const names = [...members.keys()].join(', ');
    problems.add(path, `holds several conditions (${names}); write { all: [{ … }, { … }] }`);
  }
  const [name, content] = first;
  return readNamedCondition(name, content, [...path, name], context, depth);
}

function readNamedCondition(
  name: string,
  value: JsonValue,
  path: Path,
  context: Context,
  depth: number,
): Condition | undefined {
  const { problems } = context;
  switch (name) {
    case 'all':
    case 'any':
      return { kind: name, path, of: readBranches(value, path, context, depth) };
    case 'not': {
      const of = readCondition(value, path, context, depth + 1);
      return of === undefined ? undefined : { kind: 'not', path, of };
    }
    case 'to':
      return readTo(value, path, context);
    case 'accessList':
    case 'blobs': {
      const members = readMapping(value, path, problems, ['max']);
      if (members === undefined) return undefined;
      const max = readCount(members.get('max'), [...path, 'max'], problems);
      return max === undefined ? undefined : { kind: name, path, max };
    }
    case 'authorizations':
      return readAuthorizations(value, path, context);
    case 'digest': {
      const members = readMapping(value, path, problems, ['purpose']);
      if (members === undefined) return undefined;
      return {
        kind: 'digest',
        path,
        purpose: readPurposeTest(members.get('purpose'), [...path, 'purpose'], problems),
      };
    }
    case 'create':
      return readCreate(value, path, context);
    case 'call':
      return readCall(value, path, context);
    case 'token':
      return readTokenPredicate(value, path, context);
    case 'typed':
      return readTyped(value, path, context);
    case 'message':
      return readMessage(value, path, context);
    default: {
      const field = name as NumberField;
      const test = readNumberTest(value, path, problems, parserOf(field));
      return { kind: 'number', path, field, test };
    }
  }
}

function readTo(value: JsonValue, path: Path, context: Context): Condition | undefined {
  const { problems } = context;
  const members = readMapping(value, path, problems, ['in', 'notIn', 'create']);
  if (members === undefined) return undefined;
  if (members.size === 0) problems.add(path, 'compares with nothing; write { in: ["0x…"] }');
  const included = members.get('in');
  const excluded = members.get('notIn');
  const create = members.has('create')
    ? readBoolean(members.get('create'), [...path, 'create'], problems)
    : undefined;
  return {
    kind: 'to',
    path,
    test: {
      ...(included === undefined ? {} : { in: readAddresses(included, [...path, 'in'], context) }),
      ...(excluded === undefined ? {} : { notIn: readAddresses(excluded, [...path, 'notIn'], context) }),
    },
    ...(create === undefined ? {} : { create }),
  };
}

function readBranches(value: JsonValue, path: Path, context: Context, depth: number): Condition[] {
  if (!isList(value) || value.length === 0) {
    context.problems.add(path, 'must be a list with at least one condition; write [{ … }]');
    return [];
  }
  return value.flatMap((item, index) => readCondition(item, [...path, index], context, depth + 1) ?? []);
}

function readAuthorizations(value: JsonValue, path: Path, context: Context): Condition {
  const { problems } = context;
  const members = readMapping(value, path, problems, ['max', 'every']);
  if (members?.size === 0) problems.add(path, 'restricts nothing; write { max: 1, every: { … } }');
  const max = members?.has('max') ? readCount(members.get('max'), [...path, 'max'], problems) : undefined;
  const everyPath = [...path, 'every'];
  const every = members?.has('every')
    ? readMapping(members.get('every'), everyPath, problems, ['address', 'chainId'])
    : undefined;
  if (every?.size === 0) problems.add(everyPath, 'restricts nothing; write { address: { in: ["0x…"] } }');
  const address = every?.get('address');
  const chainId = every?.get('chainId');
  return {
    kind: 'authorizations',
    path,
    ...(max === undefined ? {} : { max }),
    ...(address === undefined
      ? {}
      : { address: readAddressTest(address, [...everyPath, 'address'], context) }),
    ...(chainId === undefined
      ? {}
      : { chainId: readNumberTest(chainId, [...everyPath, 'chainId'], problems, parseInteger) }),
  };
}

function parserOf(field: NumberField): (value: JsonValue) => Parsed {
  if (field === 'txType') return parseTxType;
  return INTEGER_FIELDS.some((name) => name === field) ? parseInteger : parseAmount;
}

function parseTxType(value: JsonValue): Parsed {
  const parsed = parseInteger(value);
  if ('value' in parsed && parsed.value > MAX_TX_TYPE) {
    return { problem: `there is no transaction type ${parsed.value}; types are 0 to ${MAX_TX_TYPE}` };
  }
  return parsed;
}
