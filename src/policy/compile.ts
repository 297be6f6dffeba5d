import type { Effect } from '../effects/effect.ts';
import type { DecoderOf } from './decoders.ts';
import type { Condition, NumberField, NumberTest, Predicate, PurposeTest, TextTest } from './model.ts';
import { compileCall, compileMessage, compileToken, compileTyped, type Check } from './predicate.ts';
import { chainIdOf, recipientOf, valueOf, type Subject } from './subject.ts';
import { compileAddressTest, compileNumberTest, compileOptional, compileTextTest } from './value-test.ts';
import { list, shorten } from './wording.ts';

/**
 * A number or an address that the effect does not have fails every comparison, so `not` of it holds; counts are 0 and
 * `every` of an empty list holds. The logic has three values: what throws is unknown, and so is what depends on it, in
 * whatever order the branches stand.
 */
export function compileCondition(condition: Condition, decoderOf: DecoderOf): Check {
  if (condition.kind === 'all')
    return compileAll(condition.of.map((each) => compileCondition(each, decoderOf)));
  if (condition.kind === 'any')
    return compileAny(condition.of.map((each) => compileCondition(each, decoderOf)));
  return condition.kind === 'not'
    ? compileNot(condition.of, decoderOf)
    : compilePredicate(condition, decoderOf);
}

function compileNot(condition: Condition, decoderOf: DecoderOf): Check {
  const inner = compileCondition(condition, decoderOf);
  const text = `not: ${describe(condition)} holds`;
  return { holds: (subject, effect) => !inner.holds(subject, effect), explain: () => text };
}

function compileAll(branches: readonly Check[]): Check {
  return {
    holds: (subject, effect) => !hasBranch(branches, false, subject, effect),
    explain: (subject, effect) =>
      branches.find((branch) => hasBranch([branch], false, subject, effect))?.explain(subject, effect) ??
      'all',
  };
}

function compileAny(branches: readonly Check[]): Check {
  return {
    holds: (subject, effect) => hasBranch(branches, true, subject, effect),
    explain: (subject, effect) =>
      shorten(`any: ${branches.map((branch) => branch.explain(subject, effect)).join('; ')}`),
  };
}

/** Whether one of the branches comes to `wanted`. Throws where none does for certain, and one cannot be told. */
function hasBranch(branches: readonly Check[], wanted: boolean, subject: Subject, effect: Effect): boolean {
  let fault: { readonly error: unknown } | undefined;
  for (const branch of branches) {
    try {
      if (branch.holds(subject, effect) === wanted) return true;
    } catch (error) {
      fault ??= { error };
    }
  }
  if (fault !== undefined) throw fault.error;
  return false;
}

function compilePredicate(predicate: Predicate, decoderOf: DecoderOf): Check {
  switch (predicate.kind) {
    case 'number':
      return compileNumber(predicate.field, predicate.test);
    case 'to':
      return compileTo(predicate);
    case 'accessList':
    case 'blobs':
      return compileCount(predicate.kind, predicate.max);
    case 'create':
      return compileCreate(predicate.initcodeHash);
    case 'authorizations':
      return compileAuthorizations(predicate);
    case 'call':
      return compileCall(predicate, decoderOf);
    case 'token':
      return compileToken(predicate);
    case 'typed':
      return compileTyped(predicate);
    case 'message':
      return compileMessage(predicate);
    case 'digest':
    default:
      return compileDigest(predicate.purpose);
  }
}

function compileCount(field: 'accessList' | 'blobs', max: number): Check {
  return {
    holds: (subject) => subject[field] <= max,
    explain: (subject) => `${field}: ${subject[field]} is more than max ${max}`,
  };
}

function compileNumber(field: NumberField, test: NumberTest): Check {
  const compiled = compileOptional(compileNumberTest(test));
  if (field === 'value') {
    return {
      holds: (subject, effect) => compiled.passes(valueOf(effect), subject),
      explain: (subject, effect) => compiled.explain(field, valueOf(effect), subject),
    };
  }
  if (field === 'chainId') {
    return {
      holds: (subject) => compiled.passes(chainIdOf(subject), subject),
      explain: (subject) => compiled.explain(field, chainIdOf(subject), subject),
    };
  }
  return {
    holds: (subject) => compiled.passes(subject[field], subject),
    explain: (subject) => compiled.explain(field, subject[field], subject),
  };
}

function compileTo({ test, create }: Extract<Predicate, { kind: 'to' }>): Check {
  const address = Object.keys(test).length === 0 ? undefined : compileAddressTest(test);
  return {
    holds(subject, effect) {
      const to = recipientOf(effect);
      if (to === undefined || (create !== undefined && create !== (to === null))) return false;
      return address === undefined || (to !== null && address.passes(to, subject));
    },
    explain(subject, effect) {
      const to = recipientOf(effect);
      if (to === undefined) return 'to: this request has none';
      if (to === null) return 'to: the transaction creates a contract';
      return create === true || address === undefined
        ? 'to: the transaction creates no contract'
        : address.explain('to', to, subject);
    },
  };
}

function compileCreate(test: TextTest): Check {
  const hash = compileTextTest(test);
  return {
    holds: (subject, effect) => effect.kind === 'create' && hash.passes(effect.initcodeHash, subject),
    explain: (subject, effect) =>
      effect.kind === 'create'
        ? hash.explain('create.initcodeHash', effect.initcodeHash, subject)
        : 'create: creates no contract',
  };
}

function compileAuthorizations({
  max,
  address,
  chainId,
}: Extract<Predicate, { kind: 'authorizations' }>): Check {
  const delegate = address === undefined ? undefined : compileAddressTest(address);
  const chain = chainId === undefined ? undefined : compileNumberTest(chainId);
  const isRefused = (item: Subject['authorizations'][number], subject: Subject): boolean =>
    delegate?.passes(item.address, subject) === false || chain?.passes(item.chainId, subject) === false;
  return {
    holds: (subject) =>
      (max === undefined || subject.authorizations.length <= max) &&
      !subject.authorizations.some((item) => isRefused(item, subject)),
    explain(subject) {
      const { authorizations } = subject;
      if (max !== undefined && authorizations.length > max)
        return `authorizations: ${authorizations.length} is more than max ${max}`;
      const index = authorizations.findIndex((item) => isRefused(item, subject));
      const refused = authorizations[index];
      if (refused === undefined) return 'authorizations';
      const where = `authorizations[${index}]`;
      if (delegate?.passes(refused.address, subject) === false)
        return delegate.explain(`${where}.address`, refused.address, subject);
      return chain?.explain(`${where}.chainId`, refused.chainId, subject) ?? where;
    },
  };
}

function compileDigest(test: PurposeTest): Check {
  const purpose = compileOptional(compileTextTest(test));
  return {
    holds: (subject) => purpose.passes(subject.purpose, subject),
    explain: (subject) => purpose.explain('digest.purpose', subject.purpose, subject),
  };
}

function describe(condition: Condition): string {
  if (condition.kind === 'all' || condition.kind === 'any') {
    return shorten(`${condition.kind} of (${condition.of.map(describe).join(', ')})`);
  }
  if (condition.kind === 'not') return shorten(`not ${describe(condition.of)}`);
  if (condition.kind !== 'number') return condition.kind;
  const tests = Object.entries(condition.test).map(
    ([name, bound]: [string, bigint | number | ReadonlySet<bigint>]) =>
      `${name} ${typeof bound === 'object' ? list(bound) : bound}`,
  );
  return `${condition.field} ${tests.join(' and ')}`;
}
