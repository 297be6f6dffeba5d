import type { Hex } from '../bytes.ts';
import { createDecoder, type Decoder } from '../effects/abi-decode.ts';
import type { AbiFunction, AbiValue } from '../effects/abi.ts';

/** Gives the decoder of a function's calldata. */
export type DecoderOf = (fn: AbiFunction) => Decoder;

/** A batch is asked about several times, call by call; most are not longer. */
const REMEMBERED = 16;

interface Reading {
  readonly decode: Decoder;
  readonly data: Hex;
  readonly outcome: () => readonly AbiValue[];
}

/** Many rules may name one function, and are asked about the same calls: what was decoded last is remembered. */
export function createDecoders(): DecoderOf {
  const decoders = new Map<string, Decoder>();
  const readings: Reading[] = [];
  let newest = REMEMBERED - 1;

  function read(decode: Decoder, data: Hex): Reading {
    const last = readings[newest];
    if (last?.decode === decode && last.data === data) return last;
    for (const each of readings) if (each.decode === decode && each.data === data) return each;
    newest = (newest + 1) % REMEMBERED;
    return (readings[newest] = { decode, data, outcome: outcomeOf(() => decode(data)) });
  }

  return (fn) => {
    const known = decoders.get(fn.signature);
    if (known !== undefined) return known;
    const decode = createDecoder(fn.inputs);
    const remembering: Decoder = (data) => read(decode, data).outcome();
    decoders.set(fn.signature, remembering);
    return remembering;
  };
}

/** Returns or throws what came of `work`, however often it is asked. */
function outcomeOf<T>(work: () => T): () => T {
  try {
    const value = work();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
