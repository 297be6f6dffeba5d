import { isIP } from 'node:net';
import { ROLES } from '../access/roles.ts';
import type { Hex } from '../bytes.ts';
import { encodeCall } from '../effects/abi-encode.ts';
import { parseFunction } from '../effects/abi-signature.ts';
import type { AbiFunction, AbiType } from '../effects/abi.ts';
import type { PolicyIntent } from '../effects/effect.ts';
import { KNOWN_FUNCTIONS } from '../effects/functions.ts';
import { CountersignError } from '../errors.ts';
import type { Operation } from '../intent/intent.ts';
import { parseIntent } from '../intent/schema.ts';
import type { JsonValue } from '../jcs.ts';
import { parseAmount, parseTokenAmount } from './amount.ts';
import { readOneAddress } from './comparison.ts';
import type { PolicyRequest } from './decision.ts';
import type { Token } from './model.ts';
import {
  isList,
  listNames,
  NAME,
  NAME_HINT,
  quote,
  readBoolean,
  readChoice,
  readEntries,
  readList,
  readMapping,
  readNames,
  readText,
  type Mapping,
  type Path,
  type Problems,
} from './read.ts';

/** What a test's request may refer to, and where its problems go. */
export interface RequestContext {
  readonly problems: Problems;
  readonly tokens: ReadonlyMap<string, Token>;
}

/** The members of a test that say what is asked for; each test has one of them. */
export const ASKED = ['transaction', 'message', 'data', 'typedData', 'authorization', 'digest', 'export'];

const ID = /^[!-~]{1,128}$/;
const NOBODY: PolicyRequest['principal'] = { id: 'test', name: 'test', roles: [] };

/** `as: { id?, name?, roles, ip?, mtls? }`. */
export function readRequester(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): Pick<PolicyRequest, 'principal' | 'source'> {
  const members = readMapping(value, path, problems, ['id', 'name', 'roles', 'ip', 'mtls']);
  const text = (name: string, pattern: RegExp, hint: string, otherwise: string): string =>
    members?.has(name) === true
      ? (readText(members.get(name), [...path, name], problems, pattern, hint) ?? otherwise)
      : otherwise;
  const roles =
    members === undefined
      ? []
      : readList(members.get('roles'), [...path, 'roles'], problems, (item, itemPath) =>
          readChoice(item, itemPath, problems, ROLES),
        );
  const principal = {
    id: text('id', ID, 'write the id of a principal', NOBODY.id),
    name: text('name', NAME, NAME_HINT, NOBODY.name),
    roles: [...roles],
  };
  const source = {
    address: members?.has('ip') === true ? readIp(members.get('ip'), [...path, 'ip'], problems) : undefined,
    mtls:
      members?.has('mtls') === true && readBoolean(members.get('mtls'), [...path, 'mtls'], problems) === true,
  };
  return { principal, source };
}

function readIp(value: JsonValue | undefined, path: Path, problems: Problems): string | undefined {
  if (typeof value === 'string' && isIP(value) !== 0) return value;
  problems.add(path, `${quote(value)} is not an IP address; write for example 10.20.1.1, without a network`);
  return undefined;
}

/** Stands for the key's address in tests that do not care. */
const SOME_ADDRESS: Hex = `0x${'c5'.repeat(20)}`;

/** `key: { name, tags?, address?, draining? }`. */
export function readKey(value: JsonValue | undefined, path: Path, problems: Problems): PolicyRequest['key'] {
  const members = readMapping(value, path, problems, ['name', 'tags', 'address', 'draining']);
  const name = members && readText(members.get('name'), [...path, 'name'], problems, NAME, NAME_HINT);
  const address = members?.has('address')
    ? readOneAddress(members.get('address'), [...path, 'address'], problems)
    : undefined;
  const draining =
    members?.has('draining') === true &&
    readBoolean(members.get('draining'), [...path, 'draining'], problems);
  return {
    name: name ?? '',
    tags: [...readNames(members?.get('tags'), [...path, 'tags'], problems)],
    address: address ?? SOME_ADDRESS,
    draining: draining === true,
  };
}

/** What the test asks for. Bodies are those of the API; a transaction may also use the policy's tokens and `call`. */
export function readIntent(test: Mapping, path: Path, context: RequestContext): PolicyIntent | undefined {
  const { problems } = context;
  const [name, other] = ASKED.filter((each) => test.has(each));
  const value = name === undefined ? undefined : test.get(name);
  if (name === undefined || value === undefined || other !== undefined) {
    const what = name === undefined ? 'asks for nothing' : `asks for ${name} and ${other}`;
    problems.add(path, `${what}; write one of ${ASKED.join(', ')}`, 'key');
    return undefined;
  }
  const at = [...path, name];
  switch (name) {
    case 'transaction':
      return readTransaction(value, at, context);
    case 'message':
    case 'data':
      return toIntent('message', { [name]: value }, path, problems);
    case 'typedData':
      return toIntent('typed-data', value, at, problems);
    case 'authorization':
    case 'digest':
      return toIntent(name, value, at, problems);
    default:
      if (value !== true) problems.add(at, 'must be true, or absent');
      return { operation: 'key.export' };
  }
}

function toIntent(
  operation: Operation,
  body: JsonValue,
  path: Path,
  problems: Problems,
): PolicyIntent | undefined {
  return reporting(path, problems, () => parseIntent(operation, body));
}

/** Reports what `work` refuses, below `path`. */
function reporting<T>(path: Path, problems: Problems, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'invalid_request') throw error;
    if (error.errors.length === 0) problems.add(path, error.message);
    for (const { path: inside, message } of error.errors)
      problems.add([...path, ...stepsOf(inside)], message);
    return undefined;
  }
}

function stepsOf(path: string): Path {
  if (path === '') return [];
  return path.split('.').map((step) => (/^[0-9]+$/.test(step) ? Number(step) : step));
}

const WEI: ReadonlySet<string> = new Set([
  'value',
  'gasPrice',
  'maxFeePerGas',
  'maxPriorityFeePerGas',
  'maxFeePerBlobGas',
]);

function readTransaction(value: JsonValue, path: Path, context: RequestContext): PolicyIntent | undefined {
  const { problems } = context;
  const before = problems.count;
  const fields = (readEntries(value, path, problems) ?? []).map(([name, field]): [string, JsonValue] => {
    const at = [...path, name];
    if (name === 'to') return [name, addressOf(field, context)];
    if (name !== 'call') return [name, WEI.has(name) ? amountOf(field, at, context) : field];
    if (hasData(value)) problems.add(at, 'says what `data` says; keep one of the two', 'key');
    return ['data', readCall(field, at, context) ?? '0x'];
  });
  if (problems.count > before) return undefined;
  // The body's own path begins with what the test calls it.
  const body = { transaction: Object.fromEntries(fields) };
  return toIntent('transaction', body, path.slice(0, -1), problems);
}

function hasData(value: JsonValue): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'data');
}

/** A token's name is its contract. */
function addressOf(value: JsonValue, { tokens }: RequestContext): JsonValue {
  return (typeof value === 'string' ? tokens.get(value)?.address : undefined) ?? value;
}

/** With a unit, `"2 usdc"` or `"0.5 ether"`, it becomes base units; anything else stays as it is. */
function amountOf(value: JsonValue, path: Path, { problems, tokens }: RequestContext): JsonValue {
  const unit = typeof value === 'string' ? value.split(' ')[1] : undefined;
  if (unit === undefined) return value;
  const token = tokens.get(unit);
  const parsed = token === undefined ? parseAmount(value) : parseTokenAmount(value, token);
  if ('value' in parsed) return parsed.value.toString();
  const known = token === undefined && tokens.size > 0 ? `; tokens are ${listNames(tokens.keys())}` : '';
  problems.add(path, `${parsed.problem}${known}`);
  return value;
}

/** `call: { fn, args }`: the calldata, of a signature or of a well-known function's bare name. */
function readCall(value: JsonValue, path: Path, context: RequestContext): Hex | undefined {
  const { problems } = context;
  const members = readMapping(value, path, problems, ['fn', 'args']);
  const fn = members && readFunction(members.get('fn'), [...path, 'fn'], problems);
  const args = members?.get('args') ?? [];
  if (fn === undefined) return undefined;
  if (!isList(args)) {
    problems.add(
      [...path, 'args'],
      'must be a list, in the order of the signature; write [argument, argument]',
    );
    return undefined;
  }
  const before = problems.count;
  const values = args.map((arg, index) =>
    argumentOf(arg, fn.inputs[index]?.type, [...path, 'args', index], context),
  );
  return problems.count > before ? undefined : reporting(path, problems, () => encodeCall(fn, values));
}

function readFunction(value: JsonValue | undefined, path: Path, problems: Problems): AbiFunction | undefined {
  const text = readText(value, path, problems, /./, 'write a signature such as "transfer(address,uint256)"');
  if (text === undefined) return undefined;
  if (text.includes('(')) return reporting(path, problems, () => parseFunction(text));
  const named = KNOWN_FUNCTIONS.flatMap(({ fn }) => (fn.name === text ? [fn] : []));
  const [only, other] = named;
  if (only !== undefined && other === undefined) return only;
  const message =
    only === undefined
      ? `${quote(text)} is not a well-known function; write its signature, as in "deposit(uint256)"`
      : `${quote(text)} is the name of several functions; write one of ${listNames(named.map(({ signature }) => signature))}`;
  problems.add(path, message);
  return undefined;
}

/** Amounts with a unit, tokens by name, and for `bytes` a call of its own, as a batch has them. */
function argumentOf(
  value: JsonValue,
  type: AbiType | undefined,
  path: Path,
  context: RequestContext,
): JsonValue {
  if (type?.kind === 'uint' || type?.kind === 'int') return amountOf(value, path, context);
  if (type?.kind === 'address') return addressOf(value, context);
  if (type?.kind === 'bytes' && typeof value === 'object') return readCall(value, path, context) ?? '0x';
  if (type?.kind === 'tuple') return tupleOf(value, type, path, context);
  if (type?.kind !== 'array' || !isList(value)) return value;
  return value.map((item, index) => argumentOf(item, type.of, [...path, index], context));
}

function tupleOf(
  value: JsonValue,
  { of }: Extract<AbiType, { kind: 'tuple' }>,
  path: Path,
  context: RequestContext,
): JsonValue {
  if (isList(value)) {
    return value.map((item, index) => argumentOf(item, of[index]?.type, [...path, index], context));
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = (readEntries(value, path, context.problems) ?? []).map(([name, member]) => {
    const field = of.find((each) => each.name === name);
    return [name, argumentOf(member, field?.type, [...path, name], context)] as const;
  });
  return Object.fromEntries(members);
}
