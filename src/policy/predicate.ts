import type { Effect, SiweMessage, TokenEffect } from '../effects/effect.ts';
import { CountersignError } from '../errors.ts';
import type { DecoderOf } from './decoders.ts';
import type { DomainTest, MemberTest, NumberTest, Predicate, SiweTest } from './model.ts';
import { compilePattern } from './pattern.ts';
import { amountOf, chainIdOf, tokenIdOf, tokenOf, type Subject } from './subject.ts';
import {
  compileAddressTest,
  compileMembers,
  compileNumberTest,
  compileOptional,
  compileTextTest,
  type Test,
} from './value-test.ts';
import { list, quoteShort } from './wording.ts';

/** A condition as closures over values that were parsed once. Both throw where it cannot be told. */
export interface Check {
  holds(subject: Subject, effect: Effect): boolean;
  /** Why it does not hold: the first predicate that fails. Only asked when `holds` was false. */
  explain(subject: Subject, effect: Effect): string;
}

type PredicateOf<K extends Predicate['kind']> = Extract<Predicate, { kind: K }>;

export function compileCall({ to, delegate, fn, args }: PredicateOf<'call'>, decoderOf: DecoderOf): Check {
  const decode = decoderOf(fn);
  const target = to === undefined ? undefined : compileAddressTest(to);
  const members = compileMembers(args);
  return {
    holds(subject, effect) {
      if (effect.kind !== 'call' || !effect.data.startsWith(fn.selector)) return false;
      if (delegate !== undefined && effect.delegate !== delegate) return false;
      if (target !== undefined && !target.passes(effect.to, subject)) return false;
      // Also where no argument is compared: what is malformed is no call of this function.
      return members.passes(decode(effect.data), subject);
    },
    explain(subject, effect) {
      if (effect.kind !== 'call' || !effect.data.startsWith(fn.selector))
        return `call: is no call of ${fn.signature}`;
      if (delegate !== undefined && effect.delegate !== delegate)
        return `call.delegate: is ${effect.delegate ? 'a' : 'no'} delegatecall`;
      if (target?.passes(effect.to, subject) === false) return target.explain('call.to', effect.to, subject);
      return members.explain('call.args', decode(effect.data), subject);
    },
  };
}

/** The test of one member of something. */
interface Part<Of> {
  passes(of: Of, subject: Subject): boolean;
  explain(of: Of, subject: Subject): string;
}

/** What is not there fails. Nothing, where there is no test. */
function part<Of, T>(
  where: string,
  test: Test<T> | undefined,
  read: (of: Of) => T | undefined,
): readonly Part<Of>[] {
  if (test === undefined) return [];
  const optional = compileOptional(test);
  return [
    {
      passes: (of, subject) => optional.passes(read(of), subject),
      explain: (of, subject) => optional.explain(where, read(of), subject),
    },
  ];
}

function findFailing<Of>(parts: readonly Part<Of>[], of: Of, subject: Subject): Part<Of> | undefined {
  for (const each of parts) if (!each.passes(of, subject)) return each;
  return undefined;
}

function optionally<From, To>(value: From | undefined, make: (value: From) => To): To | undefined {
  return value === undefined ? undefined : make(value);
}

export function compileToken(predicate: PredicateOf<'token'>): Check {
  const { token, actions } = predicate;
  const { chain, address, name } = token;
  const parts = tokenParts(predicate);
  const isOther = ({ contract }: TokenEffect, { chainId }: Subject): boolean =>
    contract !== address || (chainId !== undefined && chainId !== chain);
  return {
    holds(subject, effect) {
      const of = tokenOf(effect);
      if (of === undefined || isOther(of, subject) || !actions.has(of.action)) return false;
      if (findFailing(parts, of, subject) !== undefined) return false;
      // Some tokens take permits whose domain names no chain, and are then on every chain.
      if (subject.chainId === undefined) throw new CountersignError('unprocessable', NO_CHAIN);
      return true;
    },
    explain(subject, effect) {
      const of = tokenOf(effect);
      if (of === undefined || isOther(of, subject)) return `token: does nothing with ${name}`;
      if (!actions.has(of.action)) return `token.action: ${of.action} is not in ${list(actions)}`;
      return findFailing(parts, of, subject)?.explain(of, subject) ?? `token: ${NO_CHAIN}`;
    },
  };
}

const NO_CHAIN = 'the domain names no chain, so the token cannot be told';

function tokenParts(predicate: PredicateOf<'token'>): readonly Part<TokenEffect>[] {
  const { token, from, to, spender, amount, tokenId } = predicate;
  return [
    ...part('token.from', optionally(from, compileAddressTest), (effect: TokenEffect) => effect.from),
    ...part('token.to', optionally(to, compileAddressTest), (effect: TokenEffect) => effect.to),
    ...part(
      'token.spender',
      optionally(spender, compileAddressTest),
      (effect: TokenEffect) => effect.spender,
    ),
    ...part('token.amount', optionally(amount, compileNumberTest), (effect: TokenEffect) =>
      amountOf(token, effect),
    ),
    ...part('token.tokenId', optionally(tokenId, compileNumberTest), (effect: TokenEffect) =>
      tokenIdOf(token, effect),
    ),
  ];
}

/** Reads the whole of the typed data, also where the effect is a call that it orders. */
export function compileTyped({ domain, type, message }: PredicateOf<'typed'>): Check {
  const chain = part('typed.domain.chainId', optionally(domain.chainId, compileNumberTest), chainIdOf);
  const domainTest = compileMembers(domainMembers(domain));
  const messageTest = compileMembers(message);
  return {
    holds(subject) {
      const { typed } = subject;
      return (
        typed !== undefined &&
        (type === undefined || typed.encodeType === type) &&
        domainTest.passes(typed.typedData.domain, subject) &&
        messageTest.passes(typed.typedData.message, subject) &&
        // Last, since it may be unknown.
        findFailing(chain, subject, subject) === undefined
      );
    },
    explain(subject) {
      const { typed } = subject;
      if (typed === undefined) return 'typed: is no typed data';
      const { encodeType, typedData } = typed;
      if (type !== undefined && encodeType !== type)
        return `typed.type: ${quoteShort(encodeType)} is not ${quoteShort(type)}`;
      if (!domainTest.passes(typedData.domain, subject))
        return domainTest.explain('typed.domain', typedData.domain, subject);
      return messageTest.passes(typedData.message, subject)
        ? (findFailing(chain, subject, subject)?.explain(subject, subject) ?? 'typed')
        : messageTest.explain('typed.message', typedData.message, subject);
    },
  };
}

/** But for the chain. */
function domainMembers({ name, version, verifyingContract, salt }: DomainTest): MemberTest[] {
  const tests: readonly (readonly [string, MemberTest['test'] | undefined])[] = [
    ['name', name && { kind: 'text', test: name }],
    ['version', version && { kind: 'text', test: version }],
    ['verifyingContract', verifyingContract && { kind: 'address', test: verifyingContract }],
    ['salt', salt && { kind: 'bytes', test: salt }],
  ];
  return tests.flatMap(([member, test]) =>
    test === undefined ? [] : { name: member, steps: [member], test },
  );
}

export function compileMessage({ re2, siwe, len }: PredicateOf<'message'>): Check {
  if (len !== undefined) return compileLength(len);
  return siwe === undefined ? compileText(re2 ?? '') : compileSiwe(siwe);
}

function compileLength(test: NumberTest): Check {
  const length = compileOptional(compileNumberTest(test));
  return {
    holds: (subject) => length.passes(subject.messageLength, subject),
    explain: (subject) => length.explain('message.len', subject.messageLength, subject),
  };
}

function compileText(text: string): Check {
  const pattern = compilePattern(text);
  if ('problem' in pattern) throw new CountersignError('internal', `re2: ${pattern.problem}`);
  const { value } = pattern;
  return {
    holds: (_, effect) =>
      effect.kind === 'message' && effect.text !== undefined && value.matches(effect.text),
    explain: (_, effect) =>
      effect.kind === 'message' && effect.text !== undefined
        ? `message.re2: the text does not match ${quoteShort(text)}`
        : 'message.re2: is no text',
  };
}

/**
 * A message that names another address logs nobody in where that is compared with the signature, and the key where it
 * is not: if all else passes, that is an error.
 */
function compileSiwe({ domain, uri, chainId, expiresWithin }: SiweTest): Check {
  const parts: readonly Part<SiweMessage>[] = [
    ...part('message.siwe.domain', optionally(domain, compileTextTest), (siwe: SiweMessage) => siwe.domain),
    ...part('message.siwe.uri', optionally(uri, compileTextTest), (siwe: SiweMessage) => siwe.uri),
    ...part(
      'message.siwe.chainId',
      optionally(chainId, compileNumberTest),
      (siwe: SiweMessage) => siwe.chainId,
    ),
    ...part(
      'message.siwe.expirationTime',
      optionally(expiresWithin, compileExpiry),
      (siwe: SiweMessage) => siwe.expirationTime,
    ),
  ];
  const siweOf = (effect: Effect): SiweMessage | undefined => {
    if (effect.kind !== 'message') return undefined;
    if (effect.nearSiwe) throw new CountersignError('unprocessable', NEAR_SIWE);
    return effect.siwe;
  };
  return {
    holds(subject, effect) {
      const siwe = siweOf(effect);
      if (siwe === undefined || findFailing(parts, siwe, subject) !== undefined) return false;
      if (siwe.address !== subject.signer)
        throw new CountersignError('unprocessable', `message.siwe.address: ${siwe.address} ${NOT_SIGNER}`);
      return true;
    },
    explain(subject, effect) {
      const siwe = siweOf(effect);
      if (siwe === undefined) return 'message.siwe: is no message of EIP-4361';
      return findFailing(parts, siwe, subject)?.explain(siwe, subject) ?? 'message.siwe';
    },
  };
}

const NOT_SIGNER = 'is not the address of the key, and not all who read such a message compare it';

const NEAR_SIWE = 'message.siwe: the message looks like one of EIP-4361, but is none to the letter';

/** Of a time of RFC 3339: neither past nor further away than `span` milliseconds. */
function compileExpiry(span: number): Test<string> {
  return {
    passes(time, { now }) {
      const end = Date.parse(time.toUpperCase());
      return end >= now && end <= now + span;
    },
    explain: (where, time) => `${where}: ${time} is not a time from now to ${span} ms from now`,
  };
}
