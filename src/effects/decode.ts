import { isUtf8 } from 'node:buffer';
import { fromHex, toHex, type Hex } from '../bytes.ts';
import type { Transaction, TypedData } from '../intent/intent.ts';
import { keccak256 } from '../keccak.ts';
import { AbiFault } from './abi-decode.ts';
import type { Call } from './batches.ts';
import type { CallEffect, Effect, Effects, MessageEffect, PolicyIntent } from './effect.ts';
import { isCutOff, knownFunction, type KnownFunction } from './functions.ts';
import { readSigned } from './permits.ts';
import { looksLikeSiwe, parseSiwe } from './siwe.ts';

/** How deep calls may lie in each other: the path of one has at most this many numbers. */
const MAX_DEPTH = 4;
const MAX_EFFECTS = 256;

/**
 * All that an intent from `parseIntent` does, for the key with the address `signer` (lower-case). What cannot be read
 * to the end has a `problem`, and the effects up to it: never the effects of a part as if it were the whole.
 */
export function decodeEffects(intent: PolicyIntent, signer: Hex): Effects {
  if (intent.operation === 'transaction') return decodeTransaction(intent.transaction, signer);
  if (intent.operation === 'message') return { effects: [decodeMessage(intent.data)] };
  if (intent.operation === 'typed-data') return decodeTypedData(intent.typedData, signer);
  return { effects: [{ kind: intent.operation }] };
}

function decodeTransaction({ to, value, data }: Transaction, from: Hex): Effects {
  if (to === null) {
    const initcodeHash = toHex(keccak256(fromHex(data)));
    return { effects: [{ kind: 'create', path: '', value, initCode: data, initcodeHash }] };
  }
  const effects: Effect[] = [];
  const problem = addCall({ from, to, value, ownFunds: false, data, delegate: false }, '', 0, effects);
  return toEffects(effects, problem);
}

function toEffects(effects: readonly Effect[], problem: string | undefined): Effects {
  return problem === undefined ? { effects } : { effects, problem };
}

/** Adds a call and all that it makes; the answer is why that is not possible. */
function addCall(call: Call, path: string, depth: number, effects: Effect[]): string | undefined {
  if (depth > MAX_DEPTH) return `calls are nested deeper than ${MAX_DEPTH}, at ${path}`;
  if (effects.length >= MAX_EFFECTS) return TOO_MANY;
  const known = knownFunction(call.data);
  if (known === undefined) {
    effects.push(effectOf(call, path));
    return isCutOff(call.data) ? `${placeOf(path)}: its data is too short for a selector` : undefined;
  }
  try {
    return addKnown(known, call, path, depth, effects);
  } catch (error) {
    if (!(error instanceof AbiFault)) throw error;
    effects.push(effectOf(call, path));
    return `${placeOf(path)} to ${known.fn.signature}: ${error.message}`;
  }
}

const TOO_MANY = `there are more than ${MAX_EFFECTS} effects`;

/** Throws AbiFault before it has added anything. */
function addKnown(
  known: KnownFunction,
  call: Call,
  path: string,
  depth: number,
  effects: Effect[],
): string | undefined {
  const args = known.decode(call.data);
  if (known.kind === 'batch') {
    const calls = known.of.read(args, call);
    effects.push(effectOf(call, path));
    return addInner(calls, path, depth, effects);
  }
  const tokens = known.of.read(args, call);
  // Code of a token that runs as another account moves nothing in the token.
  if (call.delegate || tokens.length === 0) {
    effects.push(effectOf(call, path));
    return undefined;
  }
  if (effects.length + tokens.length > MAX_EFFECTS) return TOO_MANY;
  for (const token of tokens) effects.push({ ...effectOf(call, path), token });
  return undefined;
}

function addInner(
  calls: readonly Call[],
  path: string,
  depth: number,
  effects: Effect[],
): string | undefined {
  for (const [index, call] of calls.entries()) {
    const problem = addCall(call, path === '' ? `${index}` : `${path}.${index}`, depth + 1, effects);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function effectOf({ from, to, value, ownFunds, data, delegate }: Call, path: string): CallEffect {
  return { kind: 'call', path, from, to, value, ownFunds, data, delegate };
}

function placeOf(path: string): string {
  return path === '' ? 'the call' : `the inner call ${path}`;
}

function decodeMessage(data: Hex): MessageEffect {
  const bytes = fromHex(data);
  // Of bytes that are no UTF-8, what others make of it: readers in other languages do not mind.
  const text = bytes.toString('utf8');
  const readable = isUtf8(bytes) ? { text } : {};
  const siwe = 'text' in readable ? parseSiwe(text) : undefined;
  if (siwe !== undefined) return { kind: 'message', text, siwe };
  return looksLikeSiwe(text)
    ? { kind: 'message', ...readable, nearSiwe: true }
    : { kind: 'message', ...readable };
}

function decodeTypedData(typedData: TypedData, signer: Hex): Effects {
  const { encodeType, exposure, tokens, call, problem } = readSigned(typedData, signer);
  const whole = { kind: 'typed-data', typedData, encodeType, exposure } as const;
  if (tokens.length > MAX_EFFECTS) return { effects: [whole], problem: TOO_MANY };
  const effects: Effect[] = [];
  for (const token of tokens) effects.push({ ...whole, token });
  if (effects.length === 0) effects.push(whole);
  return toEffects(effects, call === undefined ? problem : addInner([call], '', 0, effects));
}
