import type { Hex } from '../bytes.ts';
import { createDecoder, type Decoder } from './abi-decode.ts';
import { parseFunction } from './abi-signature.ts';
import type { AbiFunction } from './abi.ts';
import { BATCH_FUNCTIONS, type BatchFunction } from './batches.ts';
import { TOKEN_FUNCTIONS, type TokenFunction } from './tokens.ts';

/** A function whose effects are known from its arguments, whichever contract has it. */
export type KnownFunction = Compiled &
  (
    | { readonly kind: 'token'; readonly of: TokenFunction }
    | { readonly kind: 'batch'; readonly of: BatchFunction }
  );

interface Compiled {
  readonly fn: AbiFunction;
  /** Of the whole calldata; throws AbiFault. */
  readonly decode: Decoder;
}

/** `0x` and four bytes. */
const SELECTOR_LENGTH = 10;

/** The function that calldata calls, when it is a well-known one. */
export function knownFunction(data: Hex): KnownFunction | undefined {
  return BY_SELECTOR.get(data.slice(0, SELECTOR_LENGTH));
}

/** Whether it is one whose inner calls are effects of their own. */
export function isBatch(data: Hex): boolean {
  return knownFunction(data)?.kind === 'batch';
}

/** Whether there is calldata, but too little for a selector: what a contract does with it cannot be told. */
export function isCutOff(data: Hex): boolean {
  return data.length > 2 && data.length < SELECTOR_LENGTH;
}

export const KNOWN_FUNCTIONS: readonly KnownFunction[] = [
  ...TOKEN_FUNCTIONS.map((of): KnownFunction => {
    const { fn, decode } = compile(of.signature);
    return { kind: 'token', of, fn, decode };
  }),
  ...BATCH_FUNCTIONS.map((of): KnownFunction => {
    const { fn, decode } = compile(of.signature);
    return { kind: 'batch', of, fn, decode };
  }),
];

const BY_SELECTOR: ReadonlyMap<string, KnownFunction> = new Map(
  KNOWN_FUNCTIONS.map((known) => [known.fn.selector, known]),
);

function compile(signature: string): Compiled {
  const fn = parseFunction(signature);
  return { fn, decode: createDecoder(fn.inputs) };
}
