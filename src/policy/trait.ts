import type { AbiFunction } from '../effects/abi.ts';
import type { Effect, TokenEffect } from '../effects/effect.ts';
import type { DecoderOf } from './decoders.ts';
import type { NumberField, Token } from './model.ts';
import { amountOf, recipientOf, tokenIdOf, tokenOf, valueOf, type Question } from './subject.ts';
import { follow, type Value } from './value-test.ts';

/**
 * Something that requests or effects have, and by which rules are told apart. The index files rules under what they
 * demand of a trait, so what `read` answers has to be what the rule's own tests would compare.
 */
export interface Trait {
  /** One trait, one name. */
  readonly name: string;
  /** What the effect has of it, which may be nothing; undefined where that cannot be told. Does not throw. */
  read(question: Question, effect: Effect): readonly Value[] | undefined;
}

const NOTHING: readonly Value[] = [];

function one(value: Value | undefined): readonly Value[] {
  return value === undefined ? NOTHING : [value];
}

/** Ids and roles are not told apart: where they coincide, a rule is looked at that does not apply. */
export const PRINCIPAL: Trait = {
  name: 'principal',
  read: ({ request: { principal } }) => [principal.id, ...principal.roles],
};

/** Names and tags, as with principals. */
export const KEY: Trait = {
  name: 'key',
  read: ({ request: { key } }) => [key.name, ...key.tags],
};

/** The recipient and the token's contract: predicates mean either. */
export const ADDRESS: Trait = {
  name: 'address',
  read(_, effect) {
    const recipient = recipientOf(effect);
    const contract = tokenOf(effect)?.contract;
    if (typeof recipient !== 'string' || recipient === contract) return one(contract);
    return contract === undefined ? [recipient] : [recipient, contract];
  },
};

/** `0x` and four bytes. */
const SELECTOR_LENGTH = 10;

export const SELECTOR: Trait = {
  name: 'selector',
  read: (_, effect) => (effect.kind === 'call' ? [effect.data.slice(0, SELECTOR_LENGTH)] : NOTHING),
};

export const ENCODE_TYPE: Trait = {
  name: 'encodeType',
  read: ({ subject }) => one(subject.typed?.encodeType),
};

export const TOKEN_ACTION = ofToken('action', ({ action }) => action);

export function tokenParty(name: 'from' | 'to' | 'spender'): Trait {
  return ofToken(name, (effect) => effect[name]);
}

/** What a number of an effect means, depends on the token's standard. */
export function tokenNumber(name: 'amount' | 'tokenId', token: Token): Trait {
  const read = name === 'amount' ? amountOf : tokenIdOf;
  return ofToken(`${token.standard} ${name}`, (effect) => read(token, effect));
}

function ofToken(name: string, read: (effect: TokenEffect) => Value | undefined): Trait {
  return {
    name: `token ${name}`,
    read(_, effect) {
      const of = tokenOf(effect);
      return of === undefined ? NOTHING : one(read(of));
    },
  };
}

export function numberOf(field: NumberField): Trait {
  return {
    name: field,
    read({ subject }, effect) {
      if (field === 'value') return one(valueOf(effect));
      const { operation, chainId } = subject;
      // The chain of typed data that names none is not known (`chainIdOf`).
      if (field === 'chainId' && operation === 'typed-data' && chainId === undefined) return undefined;
      return one(subject[field]);
    },
  };
}

/** A value inside the arguments of a function. Of a call that does not decode, it cannot be told. */
export function argumentOf(
  fn: AbiFunction,
  steps: readonly (number | string)[],
  decoderOf: DecoderOf,
): Trait {
  const decode = decoderOf(fn);
  const { selector, signature } = fn;
  return {
    name: `${signature} ${steps.join('.')}`,
    read(_, effect) {
      if (effect.kind !== 'call' || !effect.data.startsWith(selector)) return NOTHING;
      try {
        return one(follow(decode(effect.data), steps));
      } catch {
        return undefined;
      }
    },
  };
}

/** The first `length` UTF-16 units of a text, or digits of bytes. */
export function startOf(trait: Trait, length: number): Trait {
  return {
    name: `${trait.name}, first ${length}`,
    read: (question, effect) =>
      trait
        .read(question, effect)
        ?.flatMap((value) => (typeof value === 'string' ? value.slice(0, length) : [])),
  };
}

/** What `len` counts: UTF-16 units of a text, bytes, items of a list. */
export function lengthOf(trait: Trait, kind: 'text' | 'bytes' | 'list'): Trait {
  return {
    name: `${trait.name}, length`,
    read: (question, effect) =>
      trait.read(question, effect)?.flatMap((value) => {
        if (typeof value !== 'string' && !Array.isArray(value)) return [];
        return BigInt(kind === 'bytes' ? value.length / 2 - 1 : value.length);
      }),
  };
}

/** A value inside the first item of a list. Of an empty list, of which each item passes everything, it cannot be told. */
export function firstOf(trait: Trait, steps: readonly (number | string)[]): Trait {
  return {
    name: `${trait.name}, first ${steps.join('.')}`,
    read(question, effect) {
      const lists = trait.read(question, effect);
      const firsts: Value[] = [];
      for (const list of lists ?? []) {
        if (!Array.isArray(list)) continue;
        const [first] = list as readonly Value[];
        if (first === undefined) return undefined;
        firsts.push(follow(first, steps));
      }
      return lists && firsts;
    },
  };
}
