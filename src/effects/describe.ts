import type { Hex } from '../bytes.ts';
import { toChecksumAddress } from '../intent/fields.ts';
import type { SignedAuthorization, Transaction, TypedData, TypedValue } from '../intent/intent.ts';
import { maxTotalFee } from '../intent/transaction.ts';
import {
  DOMAIN_FIELDS,
  encodeType,
  parseTypes,
  type StructTypes,
  type ValueType,
} from '../intent/typed-data-types.ts';
import type {
  CallEffect,
  Effect,
  Effects,
  MessageEffect,
  PolicyIntent,
  SiweMessage,
  TypedDataEffect,
} from './effect.ts';
import { isCutOff, knownFunction } from './functions.ts';
import { describeToken, formatEther, plural, quote, type NamedToken } from './wording.ts';

/** What makes descriptions readable. */
export interface DescriptionContext {
  /** By any key; only the values are read. */
  readonly tokens: ReadonlyMap<string, NamedToken>;
}

/**
 * What an intent does, in plain words, one line each: for those who have to consent to it. `effects` are its own
 * (`decodeEffects`). Nothing of the intent is left out: what is not read stands there as hex. Text that callers chose
 * is quoted and escaped, and ends its line, so that it can neither look like another line nor reorder one.
 */
export function describeIntent(
  intent: PolicyIntent,
  { effects, problem }: Effects,
  context: DescriptionContext,
): string[] {
  const warning = problem === undefined ? [] : [`Warning: this cannot be read to the end: ${problem}`];
  const chain = chainOf(intent);
  const words: Words = {
    chain,
    tokens: [...context.tokens.values()].filter((token) => token.chain === chain),
  };
  return [...warning, ...describeEffects(effects, words), ...describeRest(intent)];
}

interface Words {
  /** On which the effects happen; undefined when the intent does not say. */
  readonly chain: bigint | undefined;
  /** Of this chain. */
  readonly tokens: readonly NamedToken[];
}

function chainOf(intent: PolicyIntent): bigint | undefined {
  if (intent.operation === 'transaction') return intent.transaction.chainId;
  if (intent.operation !== 'typed-data') return undefined;
  const { chainId } = intent.typedData.domain;
  return typeof chainId === 'string' ? BigInt(chainId) : undefined;
}

function describeEffects(effects: readonly Effect[], words: Words): string[] {
  return effects.flatMap((effect, index) => {
    if (effect.kind === 'call') {
      return [describeCall(effect, isSameCall(effect, effects[index - 1]), words)];
    }
    if (effect.kind === 'create') {
      const { value, initcodeHash } = effect;
      return [
        `Create a contract with ${formatEther(value)}, from init code with the keccak256 ${initcodeHash}`,
      ];
    }
    if (effect.kind === 'message') return describeMessage(effect);
    return effect.kind === 'typed-data' ? describeSigned(effect, effects, words) : [];
  });
}

/** A call with several token effects sends its value once. */
function isSameCall(effect: CallEffect, before: Effect | undefined): boolean {
  return before?.kind === 'call' && before.path === effect.path;
}

function describeCall(effect: CallEffect, again: boolean, words: Words): string {
  const { path, from, value, data, delegate } = effect;
  const place = path === '' ? '' : `Inner call ${path}: `;
  if (data === '0x' && !delegate) {
    const chain = words.chain === undefined ? '' : ` on chain ${words.chain}`;
    return `${place}Send ${formatEther(value)} from ${address(from)} to ${address(effect.to)}${chain}`;
  }
  const sent =
    value === 0n || again ? '' : `; it sends ${formatEther(value)} from ${address(from)} with the call`;
  return `${place}${describeCalled(effect, words)}${sent}`;
}

function describeCalled({ from, to, data, delegate, token }: CallEffect, words: Words): string {
  if (token !== undefined) return describeToken(token, tokenAt(token.contract, words));
  const verb = delegate ? `Delegatecall, with the storage and the funds of ${address(from)},` : 'Call';
  const bytes = data.length / 2 - 1;
  if (data === '0x') return `${verb} ${address(to)} without data`;
  if (isCutOff(data)) return `${verb} ${address(to)} with ${plural(bytes, 'byte')}, too few for a selector`;
  const known = knownFunction(data);
  const rest = plural(bytes - 4, 'byte');
  if (known === undefined) {
    return `${verb} ${address(to)} with selector ${data.slice(0, 10)} and ${rest} that this service cannot read`;
  }
  const made = known.kind === 'batch' ? '; the calls that it makes follow' : '';
  return `${verb} ${address(to)} with ${known.fn.signature} and ${rest} of arguments${made}`;
}

function tokenAt(contract: Hex, { tokens }: Words): NamedToken | undefined {
  return tokens.find((token) => token.address === contract);
}

function address(value: Hex): string {
  return toChecksumAddress(value);
}

function describeMessage({ text, siwe }: MessageEffect): string[] {
  if (siwe !== undefined) return describeSiwe(siwe);
  return [text === undefined ? 'Sign a message that is not text' : 'Sign a message'];
}

function describeSiwe(siwe: SiweMessage): string[] {
  const optional: readonly (readonly [string, string | undefined])[] = [
    ['Scheme', siwe.scheme],
    ['Statement', siwe.statement],
    ['URI', siwe.uri],
    ['Issued at', siwe.issuedAt],
    ['Expires at', siwe.expirationTime],
    ['Not before', siwe.notBefore],
    ['Request', siwe.requestId],
    ...siwe.resources.map((resource) => ['Resource', resource] as const),
  ];
  return [
    `Sign in (EIP-4361) as ${address(siwe.address)} on chain ${siwe.chainId}, to the site ${quote(siwe.domain)}`,
    ...optional.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${quote(value)}`])),
  ];
}

function describeSigned(effect: TypedDataEffect, effects: readonly Effect[], words: Words): string[] {
  if (effect.token !== undefined) return [describeToken(effect.token, tokenAt(effect.token.contract, words))];
  if (!effect.exposure) return ['Sign typed data'];
  const receiver =
    effect.typedData.primaryType === 'SafeTx' ? 'a Safe' : 'a contract that acts for its signer';
  return effects.length > 1
    ? [`Sign an order to ${receiver}; the calls that it makes follow`]
    : ['Sign typed data that may give others power over funds, in a form that this service cannot read'];
}

/** What the effects do not say: the rest of a transaction, and all that is signed as it is. */
function describeRest(intent: PolicyIntent): string[] {
  if (intent.operation === 'transaction') return describeTransaction(intent.transaction);
  if (intent.operation === 'message') return [describeText(intent.data)];
  if (intent.operation === 'typed-data') return describeTypedData(intent.typedData);
  if (intent.operation === 'authorization') {
    const { address: code, chainId, nonce } = intent;
    return [
      `Let the code at ${address(code)} act as this key's account on chain ${chainId} (EIP-7702)`,
      `Nonce ${nonce}`,
    ];
  }
  if (intent.operation === 'digest') {
    return [
      `Sign the digest ${intent.digest}; what it stands for cannot be read`,
      `It is said to be ${quote(intent.purpose)}`,
    ];
  }
  return [
    'Export the private key, encrypted with a password of the requester',
    'The key leaves this service: whoever has the file and the password signs anything with it, from then on, past every policy and limit and without a trace in the log',
  ];
}

function describeText(data: Hex): string {
  const bytes = Buffer.from(data.slice(2), 'hex');
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes)
    ? `Text: ${quote(text)}`
    : `Bytes (${bytes.length}): ${data}`;
}

function describeTransaction(transaction: Transaction): string[] {
  const { type, chainId, nonce, gasLimit, data } = transaction;
  const fee = formatEther(maxTotalFee(transaction));
  return [
    `Fees at most ${fee}, gas limit ${gasLimit}`,
    `Chain ${chainId}, nonce ${nonce}, transaction type ${type}`,
    ...describeAccessList(transaction),
    ...(type === 3 ? transaction.blobVersionedHashes.map((hash) => `Blob with versioned hash ${hash}`) : []),
    ...(type === 4 ? transaction.authorizationList.map(describeAuthorization) : []),
    ...(data === '0x' ? [] : [`Data (${plural(data.length / 2 - 1, 'byte')}): ${data}`]),
  ];
}

function describeAccessList(transaction: Transaction): string[] {
  if (transaction.type === 0) return [];
  return transaction.accessList.map(
    (entry) => `Access list: ${[address(entry.address), ...entry.storageKeys].join(' ')}`,
  );
}

function describeAuthorization({ chainId, address: code, nonce }: SignedAuthorization): string {
  return `Carries an authorization (EIP-7702) of an account to act as the code at ${address(code)} on chain ${chainId}, nonce ${nonce}`;
}

function describeTypedData({ domain, types, primaryType, message }: TypedData): string[] {
  const structs = parseTypes(types, primaryType, 'types');
  const members = DOMAIN_FIELDS.flatMap(({ name, valueType }) => {
    const value = domain[name];
    return value === undefined ? [] : describeValue(`Domain ${name}`, value, valueType, structs);
  });
  const type: ValueType = { kind: 'struct', name: primaryType };
  return [
    ...members,
    `Type: ${encodeType(structs, primaryType)}`,
    ...describeValue(`Message ${primaryType}`, message, type, structs),
  ];
}

/** One line for each value that has no parts. Names are identifiers (`parseTypes`). */
function describeValue(path: string, value: TypedValue, type: ValueType, structs: StructTypes): string[] {
  if (Array.isArray(value)) {
    const items: readonly TypedValue[] = value;
    if (type.kind !== 'array' || items.length === 0) return [`${path}: no items`];
    return items.flatMap((item, index) => describeValue(`${path}.${index}`, item, type.element, structs));
  }
  if (typeof value === 'object') {
    const fields = type.kind === 'struct' ? (structs.get(type.name) ?? []) : [];
    const members = value as { readonly [name: string]: TypedValue };
    return fields.flatMap(({ name, valueType }) =>
      describeValue(`${path}.${name}`, members[name] ?? '', valueType, structs),
    );
  }
  if (type.kind === 'string') return [`${path}: ${quote(String(value))}`];
  return [`${path}: ${type.kind === 'address' ? address(value as Hex) : String(value)}`];
}
