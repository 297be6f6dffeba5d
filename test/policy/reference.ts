/**
 * A second interpreter of the policy grammar, straight on the JSON document and with none of the compiler's code:
 * slow, small, and only for documents that compile. Conditions have three values, `true`, `false` and `error`, by
 * Kleene's rules. Calldata is decoded by ethers.
 */
import { AbiCoder, FunctionFragment, getBytes, hexlify, id, type ParamType } from 'ethers';
import type { Effect, TokenEffect } from '../../src/effects/effect.ts';
import type { PolicyRequest } from '../../src/policy/decision.ts';

// Documents here were compiled before, so their shape is known.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;
type Truth = boolean | 'error';

export interface Verdict {
  readonly effect: 'allow' | 'deny' | 'require';
  readonly rule: string | undefined;
  readonly approvals: readonly string[];
  readonly shadow: readonly string[];
  /** `limit/scope` and amount of each charge. */
  readonly charges: { readonly [name: string]: bigint };
}

interface Case {
  readonly document: Json;
  readonly request: PolicyRequest;
  readonly effect: Effect;
}

const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** @param used what a window holds, by `limit/scope`. */
export function decideByReference(
  document: Json,
  request: PolicyRequest,
  used: (name: string) => bigint,
): Verdict {
  const { effects, problem } = request.effects;
  if (problem !== undefined)
    return { effect: 'deny', rule: undefined, approvals: [], shadow: [], charges: {} };
  const onEffect = (rule: Json, effect: Effect): Truth =>
    rule.when === undefined ? true : holds({ document, request, effect }, rule.when);
  const matchesAny = (rule: Json): boolean => effects.some((effect) => onEffect(rule, effect) !== false);
  const allowsEffect = (rule: Json, effect: Effect): boolean =>
    onEffect(rule, effect) === true && covers(rule, effect, request);
  const live = document.rules.filter((rule: Json) => selects(document, rule, request));
  const enforced = live.filter((rule: Json) => rule.mode !== 'shadow');
  const of = (kind: string): Json[] => enforced.filter((rule: Json) => rule.effect === kind);

  const denies = of('deny').filter(matchesAny);
  const allowing = effects.map((effect) => of('allow').find((rule) => allowsEffect(rule, effect)));
  const demands = of('require')
    .filter(matchesAny)
    .map((rule) => rule.approval as string);
  const shadow = live
    .filter((rule: Json) => rule.mode === 'shadow')
    .filter((rule: Json) =>
      rule.effect === 'allow' ? effects.some((effect) => allowsEffect(rule, effect)) : matchesAny(rule),
    )
    .map((rule: Json) => rule.id);
  const exporting = request.intent.operation === 'key.export';

  let rule: string | undefined;
  let isDenied = effects.length === 0;
  if (!isDenied && denies.length > 0) [isDenied, rule] = [true, denies[0].id];
  else if (!isDenied && allowing.includes(undefined)) isDenied = true;
  else if (!isDenied && exporting && demands.length === 0) isDenied = true;
  else if (!isDenied) rule = allowing[0].id;

  const granted = !denies.some((one) => one.hard) && breaksGlass(document, request);
  const broken = isDenied && granted;
  if (isDenied && !broken) return { effect: 'deny', rule, approvals: [], shadow, charges: {} };
  if (broken) rule = undefined;

  const approvals = new Set(broken ? [document.breakGlass.approval, ...demands] : demands);
  const isAsking = approvals.size > 0;
  const charges: { [name: string]: bigint } = {};
  let [isExceeded, isOver] = [false, false];
  for (const { limit, scope, amount } of chargesOf(document, request)) {
    const name = `${limit}/${scope}`;
    charges[name] = amount;
    const { max, onExceed } = document.limits[limit];
    if (used(name) + amount <= quantity(document, max)) continue;
    isExceeded = true;
    if (onExceed === 'deny') isOver = true;
    approvals.add(onExceed === 'deny' ? document.breakGlass?.approval : onExceed.approval);
  }
  if (isOver && !granted) return { effect: 'deny', rule: undefined, approvals: [], shadow, charges };
  // Where a limit decides, it does so in the place of the rule.
  if (isExceeded && !isAsking) rule = undefined;
  const effect = approvals.size > 0 ? 'require' : 'allow';
  return { effect, rule, approvals: [...approvals].toSorted((a, b) => (a < b ? -1 : 1)), shadow, charges };
}

function breaksGlass(document: Json, request: PolicyRequest): boolean {
  const { breakGlass } = document;
  return (
    breakGlass !== undefined &&
    request.breakGlass !== undefined &&
    breakGlass.operations.includes(request.intent.operation) &&
    namesPrincipal(breakGlass.principals, request) &&
    namesKey(document, breakGlass.keys, request)
  );
}

function selects(document: Json, rule: Json, request: PolicyRequest): boolean {
  const { key, source, now } = request;
  return (
    rule.operations.includes(request.intent.operation) &&
    (rule.principals === undefined || namesPrincipal(rule.principals, request)) &&
    (rule.keys === undefined || namesKey(document, rule.keys, request)) &&
    (rule.effect !== 'allow' || !key.draining || rule.draining === true) &&
    (rule.source?.cidr === undefined ||
      (source.address === undefined
        ? rule.effect !== 'allow'
        : rule.source.cidr.some((cidr: string) => inNetwork(source.address ?? '', cidr)))) &&
    (rule.source?.mtls === undefined || rule.source.mtls === source.mtls) &&
    (rule.validity?.from === undefined || now >= Date.parse(rule.validity.from)) &&
    (rule.validity?.until === undefined || now < Date.parse(rule.validity.until)) &&
    (rule.windows === undefined || rule.windows.some((window: Json) => isOpen(window, now)))
  );
}

function namesPrincipal({ roles = [], ids = [] }: Json, { principal }: PolicyRequest): boolean {
  return ids.includes(principal.id) || principal.roles.some((role) => roles.includes(role));
}

function namesKey(
  document: Json,
  { names = [], tags = [], groups = [] }: Json,
  request: PolicyRequest,
): boolean {
  const { key } = request;
  if (names.includes('*') || names.includes(key.name) || key.tags.some((tag) => tags.includes(tag)))
    return true;
  return groups.some((group: string) => namesKey(document, document.keyGroups[group], request));
}

/** IPv4 only. */
function inNetwork(address: string, cidr: string): boolean {
  const bits = (text: string): string =>
    text
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  const [network = '', length = ''] = cidr.split('/');
  return bits(address).slice(0, Number(length)) === bits(network).slice(0, Number(length));
}

function isOpen({ tz, days, from, to }: Json, now: number): boolean {
  const local = new Date(new Date(now).toLocaleString('sv-SE', { timeZone: tz }).replace(' ', 'T') + 'Z');
  const minute = local.getUTCHours() * 60 + local.getUTCMinutes();
  const [start, end] = [from, to].map(
    (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)),
  );
  const today = DAY_NAMES[local.getUTCDay()] ?? '';
  const yesterday = DAY_NAMES[(local.getUTCDay() + 6) % 7] ?? '';
  if (start! < end!) return days.includes(today) && minute >= start! && minute < end!;
  return (days.includes(today) && minute >= start!) || (days.includes(yesterday) && minute < end!);
}

function holds(at: Case, condition: Json): Truth {
  const [[name, body]] = Object.entries<Json>(condition) as [[string, Json]];
  if (name === 'all') return both(body.map((branch: Json) => holds(at, branch)));
  if (name === 'any') return negate(both(body.map((branch: Json) => negate(holds(at, branch)))));
  if (name === 'not') return negate(holds(at, body));
  return predicate(at, name, body);
}

function both(values: readonly Truth[]): Truth {
  if (values.includes(false)) return false;
  return values.includes('error') ? 'error' : true;
}

function negate(value: Truth): Truth {
  return value === 'error' ? value : !value;
}

function predicate(at: Case, name: string, body: Json): Truth {
  const { document, request, effect } = at;
  const intent: Json = request.intent;
  const transaction = intent.operation === 'transaction' ? intent.transaction : undefined;
  if (name === 'to') return testsRecipient(at, body);
  if (name === 'digest') return intent.operation === 'digest' && compare(at, body.purpose, intent.purpose);
  if (name === 'accessList') return (transaction?.accessList?.length ?? 0) <= Number(body.max);
  if (name === 'blobs') return (transaction?.blobVersionedHashes?.length ?? 0) <= Number(body.max);
  if (name === 'create')
    return effect.kind === 'create' && compare(at, body.initcodeHash, effect.initcodeHash);
  if (name === 'call') return testsCall(at, body);
  if (name === 'token') return testsToken(at, body);
  if (name === 'typed') return testsTyped(at, body);
  if (name === 'message') return testsMessage(at, body);
  if (name === 'authorizations') {
    const list: Json[] =
      intent.operation === 'authorization' ? [intent] : (transaction?.authorizationList ?? []);
    if (body.max !== undefined && list.length > Number(body.max)) return false;
    return list.every((item) =>
      Object.entries<Json>(body.every ?? {}).every(([field, cmp]) => compare(at, cmp, item[field])),
    );
  }
  if (name === 'chainId' && intent.operation === 'typed-data' && chainOf(request) === undefined)
    return 'error';
  const value = numberOf(name, at);
  return value !== undefined && compare({ ...at, document }, body, value);
}

function testsRecipient(at: Case, { create, ...cmp }: Json): boolean {
  const { effect } = at;
  if (effect.kind !== 'call' && effect.kind !== 'create') return false;
  if (create !== undefined && create !== (effect.kind === 'create')) return false;
  return Object.keys(cmp).length === 0 || (effect.kind === 'call' && compare(at, cmp, effect.to));
}

function numberOf(name: string, { request, effect }: Case): bigint | undefined {
  const intent: Json = request.intent;
  if (name === 'value') return effect.kind === 'call' || effect.kind === 'create' ? effect.value : undefined;
  if (name === 'chainId') return chainOf(request);
  if (intent.operation === 'authorization') return name === 'nonce' ? intent.nonce : undefined;
  if (intent.operation !== 'transaction') return undefined;
  const { transaction } = intent;
  if (name === 'txType') return BigInt(transaction.type);
  return name === 'maxTotalFee' ? totalFee(transaction) : transaction[name];
}

function totalFee(transaction: Json): bigint {
  const blobs = BigInt(transaction.blobVersionedHashes?.length ?? 0);
  const gas = BigInt(transaction.gasLimit) * (transaction.gasPrice ?? transaction.maxFeePerGas);
  return gas + 131072n * blobs * (transaction.maxFeePerBlobGas ?? 0n);
}

function chainOf({ intent }: { readonly intent: Json }): bigint | undefined {
  if (intent.operation === 'transaction') return intent.transaction.chainId;
  if (intent.operation === 'authorization') return intent.chainId;
  const chain = intent.operation === 'typed-data' ? intent.typedData.domain.chainId : undefined;
  return chain === undefined ? undefined : BigInt(chain);
}

function testsCall(at: Case, { to, delegate, abi, fn, args = {} }: Json): Truth {
  const { document, effect } = at;
  if (effect.kind !== 'call') return false;
  const fragments = document.abis[abi].map((item: Json) =>
    FunctionFragment.from(typeof item === 'string' ? `function ${item}` : item),
  );
  const wanted = /\(/.test(fn) ? FunctionFragment.from(`function ${fn}`).format('sighash') : fn;
  const fragment: FunctionFragment = fragments.find(
    (one: FunctionFragment) => one.format('sighash') === wanted || one.name === wanted,
  );
  if (!effect.data.startsWith(fragment.selector)) return false;
  if (delegate !== undefined && effect.delegate !== delegate) return false;
  if (to !== undefined && !compare(at, to, effect.to)) return false;
  const inputs = fragment.inputs as ParamType[];
  let values: Json;
  try {
    const coder = AbiCoder.defaultAbiCoder();
    values = coder.decode(inputs, `0x${effect.data.slice(10)}`);
    // What does not encode to itself is not canonical.
    if (coder.encode(inputs, [...values]) !== `0x${effect.data.slice(10)}`) return 'error';
    for (const [index, input] of inputs.entries()) touch(values[index], input);
  } catch {
    return 'error';
  }
  return Object.entries<Json>(args).every(([path, cmp]) => {
    const [value, type] = argument(values, inputs, path.split('.'));
    return testsValue(at, cmp, value, type);
  });
}

/** ethers reports what it cannot decode when it is looked at. */
function touch(value: Json, type: ParamType): void {
  if (type.isArray()) for (const item of value) touch(item, type.arrayChildren);
  if (type.isTuple()) for (const [index, part] of type.components.entries()) touch(value[index], part);
}

function argument(
  values: Json,
  inputs: readonly ParamType[],
  [step = '', ...rest]: readonly string[],
): [Json, ParamType] {
  const index = /^\d+$/.test(step) ? Number(step) : inputs.findIndex(({ name }) => name === step);
  const type = inputs[index]!;
  return rest.length === 0 ? [values[index], type] : argument(values[index], type.components ?? [], rest);
}

function testsValue(at: Case, cmp: Json, value: Json, type: ParamType): boolean {
  if (type.isArray()) {
    const { len, every, some } = cmp;
    const child = type.arrayChildren;
    const item = (inner: Json) => (one: Json) =>
      child.isTuple()
        ? Object.entries<Json>(inner).every(([path, part]) => {
            const [found, found_] = argument(one, child.components, path.split('.'));
            return testsValue(at, part, found, found_);
          })
        : testsValue(at, inner, one, child);
    return (
      (len === undefined || compare(at, len, BigInt(value.length))) &&
      (every === undefined || [...value].every(item(every))) &&
      (some === undefined || [...value].some(item(some)))
    );
  }
  if (type.baseType === 'bool') return cmp.eq === value;
  return compare(at, cmp, type.baseType === 'address' ? value.toLowerCase() : value, type.baseType);
}

function testsToken(at: Case, body: Json): Truth {
  const { document, request, effect } = at;
  const found = 'token' in effect ? effect.token : undefined;
  const token = document.tokens[body.token];
  if (found === undefined || !isToken(token, found, request)) return false;
  if (![body.action].flat().includes(found.action)) return false;
  const { amount, tokenId } = measures(token, found);
  const parts: readonly (readonly [Json, string | bigint | undefined])[] = [
    [body.from, found.from],
    [body.to, found.to],
    [body.spender, found.spender],
    [body.amount, amount],
    [body.tokenId, tokenId],
  ];
  const passes = parts.every(
    ([cmp, value]) => cmp === undefined || (value !== undefined && compare(at, cmp, value)),
  );
  // Without a chain, it may be good on the token's or on another.
  return passes && chainOf(request) === undefined ? 'error' : passes;
}

function isToken(token: Json, found: TokenEffect, request: PolicyRequest): boolean {
  const chain = chainOf(request) ?? BigInt(token.chain);
  return found.contract === token.address.toLowerCase() && chain === BigInt(token.chain);
}

function measures(
  token: Json,
  found: TokenEffect,
): { amount: bigint | undefined; tokenId: bigint | undefined } {
  if (token.standard === 'erc20') return { amount: found.amount ?? found.amountOrId, tokenId: found.tokenId };
  const tokenId = found.tokenId ?? (token.standard === 'erc721' ? found.amountOrId : undefined);
  return { amount: found.amount, tokenId };
}

function testsTyped({ request, ...at }: Case, { domain = {}, type, message = {} }: Json): Truth {
  const { intent } = request;
  if (intent.operation !== 'typed-data') return false;
  const { typedData } = intent;
  const here = { request, ...at };
  if (type !== undefined && type !== encodeType(typedData.types, typedData.primaryType)) return false;
  const isChainUnknown = domain.chainId !== undefined && chainOf(request) === undefined;
  const inDomain = Object.entries<Json>(domain).every(([name, given]) => {
    if (name === 'chainId' && isChainUnknown) return true;
    const value: Json = typedData.domain[name];
    const cmp = typeof given === 'object' ? given : { eq: given };
    return value !== undefined && compare(here, cmp, name === 'chainId' ? BigInt(value) : value);
  });
  const inMessage = () =>
    Object.entries<Json>(message).every(([path, cmp]) => {
      let value: Json = typedData.message;
      let name = typedData.primaryType;
      for (const step of path.split('.')) {
        name = typedData.types[name]?.find((field) => field.name === step)?.type ?? '';
        value = value[step];
      }
      return testsMember(here, typedData.types, cmp, value, name);
    });
  if (!inDomain || !inMessage()) return false;
  return isChainUnknown ? 'error' : true;
}

function testsMember(at: Case, types: Json, cmp: Json, value: Json, type: string): boolean {
  const list = /^(.*)\[\d*\]$/.exec(type);
  if (list !== null) {
    const child = list[1] ?? '';
    const item = (inner: Json) => (one: Json) =>
      types[child] === undefined
        ? testsMember(at, types, inner, one, child)
        : Object.entries<Json>(inner).every(([name, part]) => {
            const field = types[child].find((each: Json) => each.name === name);
            return testsMember(at, types, part, one[name], field.type);
          });
    return (
      (cmp.len === undefined || compare(at, cmp.len, BigInt(value.length))) &&
      (cmp.every === undefined || value.every(item(cmp.every))) &&
      (cmp.some === undefined || value.some(item(cmp.some)))
    );
  }
  if (type === 'bool') return cmp.eq === value;
  return compare(at, cmp, /^u?int/.test(type) ? BigInt(value) : value, type);
}

function encodeType(types: Json, name: string): string {
  const seen = new Set<string>();
  const visit = (one: string): void => {
    if (types[one] === undefined || seen.has(one)) return;
    seen.add(one);
    for (const { type } of types[one]) visit(type.replace(/\[.*$/, ''));
  };
  visit(name);
  seen.delete(name);
  return [name, ...[...seen].toSorted()]
    .map((one) => `${one}(${types[one].map((field: Json) => `${field.type} ${field.name}`).join(',')})`)
    .join('');
}

function testsMessage(at: Case, { re2, siwe, len }: Json): Truth {
  const { effect, request } = at;
  if (effect.kind !== 'message' || request.intent.operation !== 'message') return false;
  if (len !== undefined) return compare(at, len, BigInt(getBytes(request.intent.data).length));
  if (re2 !== undefined)
    return effect.text !== undefined && new RegExp(`^(?:${re2})$`, 'su').test(effect.text);
  // Somebody may read it as a log-in that the rule is about.
  if (effect.nearSiwe) return 'error';
  const found = effect.siwe;
  if (found === undefined) return false;
  const { domain, uri, chainId, expiresWithin } = siwe;
  const expires = found.expirationTime === undefined ? Number.NaN : Date.parse(found.expirationTime);
  const passes =
    (domain === undefined || compare(at, domain, found.domain, 'string')) &&
    (uri === undefined || compare(at, uri, found.uri, 'string')) &&
    (chainId === undefined || compare(at, chainId, found.chainId)) &&
    (expiresWithin === undefined ||
      (expires >= request.now && expires <= request.now + milliseconds(expiresWithin)));
  return passes && found.address !== request.key.address ? 'error' : passes;
}

function compare(at: Case, cmp: Json, value: bigint | string, type = ''): boolean {
  const { document, request } = at;
  return Object.entries<Json>(cmp).every(([operator, operand]) => {
    const read = (item: Json): bigint | string =>
      typeof value === 'bigint' ? quantity(document, item) : type === 'string' ? item : fold(item);
    if (operator === 'in' || operator === 'notIn') {
      const items = typeof operand === 'string' ? document.lists[operand.slice(1)] : operand;
      return items.some((item: Json) => read(item) === value) === (operator === 'in');
    }
    if (operator === 'isSigner') return (value === request.key.address) === operand;
    if (operator === 'within') {
      const seconds = Number(value) * 1000;
      return seconds >= request.now && seconds <= request.now + milliseconds(operand);
    }
    if (operator === 'len') {
      const length = type.startsWith('bytes')
        ? getBytes(hexlify(value as string)).length
        : (value as string).length;
      return compare(at, operand, BigInt(length));
    }
    const bound = read(operand);
    if (operator === 'eq') return value === bound;
    if (operator === 'lt') return value < bound;
    if (operator === 'lte') return value <= bound;
    if (operator === 'gt') return value > bound;
    if (operator === 'gte') return value >= bound;
    return (value as string).startsWith(bound as string);
  });
}

function fold(text: string): string {
  return text.startsWith('0x') ? text.toLowerCase() : text;
}

function milliseconds(text: string): number {
  const units: { [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 };
  return Number(text.slice(0, -1)) * (units[text.slice(-1)] ?? Number.NaN) * 1000;
}

function quantity(document: Json, item: string | number): bigint {
  const [digits = '', unit = 'wei'] = String(item).split(' ');
  const [whole = '', fraction = ''] = digits.split('.');
  const known: { [unit: string]: number } = { wei: 0, gwei: 9, ether: 18 };
  const decimals = known[unit] ?? document.tokens?.[unit]?.decimals;
  return BigInt(whole) * 10n ** BigInt(decimals) + BigInt(fraction.padEnd(decimals, '0') || '0');
}

/** Those that random requests have. */
const BATCHES = [
  'multicall(bytes[])',
  'aggregate3Value((address,bool,uint256,bytes)[])',
  'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)',
];

function covers(rule: Json, effect: Effect, request: PolicyRequest): boolean {
  const { intent } = request;
  const bound = (test: (name: string, body: Json) => boolean): boolean =>
    pathsOf(rule.when).every((path) =>
      path.some((one) => Object.entries(one).some(([name, body]) => test(name, body))),
    );
  const typed = (name: string, body: Json): boolean => name === 'typed' && body.type !== undefined;
  const named = (name: string): boolean => name === 'call' || name === 'token';
  const listed = (cmp: Json): boolean => cmp?.eq !== undefined || cmp?.in !== undefined;
  if (effect.kind === 'typed-data') return !effect.exposure || bound(typed) || bound((n) => n === 'token');
  if (effect.kind === 'create') return bound((n, b) => n === 'create' || (n === 'to' && b.create === true));
  if (effect.kind !== 'call') return true;
  if (effect.delegate && !bound((n, b) => n === 'call' && listed(b.to))) return false;
  const isBatch = BATCHES.some((signature) => effect.data.startsWith(id(signature).slice(0, 10)));
  if (effect.delegate && !isBatch && !bound((n, b) => n === 'call' && b.delegate === true)) return false;
  const { token, to } = effect;
  // Anybody's contract can have Permit2's functions.
  const isKnownContract =
    token === undefined ||
    [token.contract, '0x000000000022d473030f116ddee9f6b43ac78ba3'].includes(to) ||
    bound((n) => n === 'call') ||
    bound((n, b) => n === 'to' && b.in !== undefined);
  if (intent.operation === 'typed-data') {
    if ((bound(named) && isKnownContract) || bound(typed)) return true;
    return effect.data === '0x' && bound((n, b) => n === 'to' && b.in !== undefined);
  }
  if (effect.data !== '0x' && !(bound(named) && isKnownContract)) return false;
  const transaction = intent.operation === 'transaction' ? intent.transaction : undefined;
  if (transaction?.type === 3) return bound((n) => n === 'blobs');
  if (transaction?.type !== 4) return true;
  return (
    bound((n, b) => n === 'authorizations' && b.max !== undefined) &&
    bound((n, b) => n === 'authorizations' && listed(b.every?.chainId))
  );
}

/** Every way to satisfy a condition, each as the predicates that then hold for certain. */
export function pathsOf(condition: Json): Json[][] {
  if (condition === undefined) return [[]];
  if (condition.any) return condition.any.flatMap(pathsOf);
  if (condition.not) return [[]];
  if (!condition.all) return [[condition]];
  return condition.all
    .map(pathsOf)
    .reduce(
      (paths: Json[][], next: Json[][]) => paths.flatMap((path) => next.map((more) => path.concat(more))),
      [[]],
    );
}

interface ReferenceCharge {
  readonly limit: string;
  readonly scope: string;
  readonly amount: bigint;
}

function chargesOf(document: Json, request: PolicyRequest): ReferenceCharge[] {
  if (request.intent.operation === 'key.export') return [];
  return Object.entries<Json>(document.limits ?? {}).flatMap(([limit, { meter, per = [] }]) => {
    const amount = measure(document, meter, request);
    if (amount === 0n) return [];
    const groups = Object.keys(document.keyGroups ?? {}).filter((name) =>
      namesKey(document, { groups: [name] }, request),
    );
    let scopes: string[][] = [[]];
    for (const part of per) {
      const values: string[] =
        part === 'key'
          ? [request.key.name]
          : part === 'principal'
            ? [request.principal.name]
            : part === 'chain'
              ? [String(document.tokens?.[meter.token]?.chain ?? chainOf(request) ?? '-')]
              : groups.length === 0
                ? ['-']
                : groups;
      scopes = scopes.flatMap((scope) => values.map((value) => scope.concat(value)));
    }
    return scopes.map((scope) => ({ limit, scope: scope.length === 0 ? 'all' : scope.join('/'), amount }));
  });
}

function measure(document: Json, meter: Json, request: PolicyRequest): bigint {
  const { effects } = request.effects;
  const { intent } = request;
  if (meter === 'count') return 1n;
  if (meter === 'maxTotalFee') return intent.operation === 'transaction' ? totalFee(intent.transaction) : 0n;
  if (meter === 'value') return measureValue(effects);
  let sum = 0n;
  for (const effect of effects) {
    const found = 'token' in effect ? effect.token : undefined;
    const token = document.tokens[meter.token];
    if (found === undefined || !isToken(token, found, request) || !meter.include.includes(found.action))
      continue;
    const single = token.standard === 'erc721' && found.action !== 'setApprovalForAll';
    sum += single ? 1n : (measures(token, found).amount ?? 2n ** 256n - 1n);
  }
  return sum;
}

/** Of the roots, and of every call from an account's own funds: what each carries, itself or inside. */
function measureValue(effects: readonly Effect[]): bigint {
  // A call with several token effects stands in the list once for each; its value counts once.
  const calls = new Map(
    effects.flatMap((effect) =>
      effect.kind === 'call' || effect.kind === 'create' ? [[effect.path.split('.').join('/'), effect]] : [],
    ),
  );
  const parentOf = (path: string): string => path.split('/').slice(0, -1).join('/');
  const isOwn = (effect: Effect): boolean => effect.kind === 'call' && effect.ownFunds;
  const add = (values: readonly bigint[]): bigint => values.reduce((sum, value) => sum + value, 0n);
  const carried = (path: string): bigint => {
    const inner = [...calls].filter(
      ([one, effect]) => one !== '' && parentOf(one) === path && !isOwn(effect),
    );
    const inside = add(inner.map(([one]) => carried(one)));
    const own = calls.get(path)?.value ?? 0n;
    return own > inside ? own : inside;
  };
  return add(
    [...calls].filter(([path, effect]) => path === '' || isOwn(effect)).map(([path]) => carried(path)),
  );
}
