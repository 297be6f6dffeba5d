import { TOKEN_ACTIONS, type TokenAction } from '../effects/effect.ts';
import type { JsonValue } from '../jcs.ts';
import { findFunction } from './abis.ts';
import { parseInteger, parseTokenAmount } from './amount.ts';
import { bytesForm, readAddressTest, readNumberTest, readTextTest } from './comparison.ts';
import type { Context } from './context.ts';
import { readMembers } from './members.ts';
import type { Predicate } from './model.ts';
import {
  isList,
  readBoolean,
  readChoice,
  readList,
  readMapping,
  readReference,
  type Path,
  type Problems,
} from './read.ts';
import { shapeOfFields } from './shape.ts';

/** `call: { to?, delegate?, abi, fn, args? }`. */
export function readCall(value: JsonValue, path: Path, context: Context): Predicate | undefined {
  const { problems, abis } = context;
  const members = readMapping(value, path, problems, ['to', 'delegate', 'abi', 'fn', 'args']);
  if (members === undefined) return undefined;
  const to = members.has('to') ? readAddressTest(members.get('to'), [...path, 'to'], context) : undefined;
  const delegate = members.has('delegate')
    ? readBoolean(members.get('delegate'), [...path, 'delegate'], problems)
    : undefined;
  const abi = readReference(members.get('abi'), [...path, 'abi'], problems, abis, 'abis');
  const fn = abi && findFunction(abi, members.get('fn'), [...path, 'fn'], problems);
  if (fn === undefined) return undefined;
  const args = members.has('args')
    ? readMembers(members.get('args'), [...path, 'args'], shapeOfFields(fn.inputs), context)
    : [];
  return {
    kind: 'call',
    path,
    ...(to === undefined ? {} : { to }),
    ...(delegate === undefined ? {} : { delegate }),
    fn,
    args,
  };
}

type TokenPredicate = Extract<Predicate, { kind: 'token' }>;
type TokenTests = { -readonly [K in 'from' | 'to' | 'spender' | 'amount' | 'tokenId']?: TokenPredicate[K] };

const PARTIES = ['from', 'to', 'spender'] as const;

/** `token: { token, action, from?, to?, spender?, amount?, tokenId? }`. */
export function readTokenPredicate(value: JsonValue, path: Path, context: Context): Predicate | undefined {
  const { problems } = context;
  const known = ['token', 'action', ...PARTIES, 'amount', 'tokenId'];
  const members = readMapping(value, path, problems, known);
  if (members === undefined) return undefined;
  const token = readReference(members.get('token'), [...path, 'token'], problems, context.tokens, 'tokens');
  const actions = readActions(members.get('action'), [...path, 'action'], problems);
  const tests: TokenTests = {};
  for (const name of PARTIES) {
    if (members.has(name)) tests[name] = readAddressTest(members.get(name), [...path, name], context);
  }
  if (token === undefined) return undefined;
  if (members.has('amount')) {
    const parse = (item: JsonValue) => parseTokenAmount(item, token);
    tests.amount = readNumberTest(members.get('amount'), [...path, 'amount'], problems, parse);
  }
  if (members.has('tokenId')) {
    const idPath = [...path, 'tokenId'];
    if (token.standard === 'erc20') problems.add(idPath, 'an erc20 has no token ids; remove it', 'key');
    tests.tokenId = readNumberTest(members.get('tokenId'), idPath, problems, parseInteger);
  }
  return { kind: 'token', path, token, actions, ...tests };
}

function readActions(value: JsonValue | undefined, path: Path, problems: Problems): ReadonlySet<TokenAction> {
  if (value !== undefined && isList(value)) return readActionList(value, path, problems);
  const action = readChoice(value, path, problems, TOKEN_ACTIONS);
  return new Set(action === undefined ? [] : [action]);
}

export function readActionList(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): ReadonlySet<TokenAction> {
  return readList(value, path, problems, (item, itemPath) =>
    readChoice(item, itemPath, problems, TOKEN_ACTIONS),
  );
}

/** `create: { initcodeHash: { eq | in } }`. */
export function readCreate(value: JsonValue, path: Path, { problems }: Context): Predicate | undefined {
  const members = readMapping(value, path, problems, ['initcodeHash']);
  if (members === undefined) return undefined;
  const initcodeHash = readTextTest(members.get('initcodeHash'), [...path, 'initcodeHash'], problems, {
    ...bytesForm(problems, 32),
    known: ['eq', 'in'],
  });
  return { kind: 'create', path, initcodeHash };
}
