import type {
  AddressTest,
  Condition,
  NumberField,
  NumberTest,
  Predicate,
  PurposeTest,
  Subject,
} from './model.ts';

/** A condition as closures over values that were parsed once. */
export interface Check {
  holds(subject: Subject): boolean;
  /** Why it does not hold: the first predicate that fails. Only asked when `holds` was false. */
  explain(subject: Subject): string;
}

type Test<T> = (value: T) => boolean;

/** A listing longer than this is cut, so that a decision stays readable and small. */
const MAX_LISTED = 5;
const MAX_TEXT = 400;

/**
 * A number or an address that the subject does not have fails every comparison, so `not` of it holds; counts
 * are 0 and `every` of an empty list holds.
 */
export function compileCondition(condition: Condition): Check {
  if (condition.kind === 'all') return compileAll(condition.of.map(compileCondition));
  if (condition.kind === 'any') return compileAny(condition.of.map(compileCondition));
  return condition.kind === 'not' ? compileNot(condition.of) : compilePredicate(condition);
}

function compileNot(condition: Condition): Check {
  const inner = compileCondition(condition);
  const text = `not: ${describe(condition)} holds`;
  return { holds: (subject) => !inner.holds(subject), explain: () => text };
}

function compileAll(branches: readonly Check[]): Check {
  return {
    holds(subject) {
      for (const branch of branches) if (!branch.holds(subject)) return false;
      return true;
    },
    explain: (subject) => branches.find((branch) => !branch.holds(subject))?.explain(subject) ?? 'all',
  };
}

function compileAny(branches: readonly Check[]): Check {
  return {
    holds(subject) {
      for (const branch of branches) if (branch.holds(subject)) return true;
      return false;
    },
    explain: (subject) => shorten(`any: ${branches.map((branch) => branch.explain(subject)).join('; ')}`),
  };
}

function compilePredicate(predicate: Predicate): Check {
  if (predicate.kind === 'number') return compileNumber(predicate.field, predicate.test);
  if (predicate.kind === 'to') return compileTo(predicate.test, predicate.create);
  if (predicate.kind === 'digest') return compileDigest(predicate.purpose);
  if (predicate.kind === 'authorizations') return compileAuthorizations(predicate);
  return compileCount(predicate.kind, predicate.max);
}

function compileCount(field: 'accessList' | 'blobs', max: number): Check {
  return {
    holds: (subject) => subject[field] <= max,
    explain: (subject) => `${field}: ${subject[field]} is more than max ${max}`,
  };
}

function compileNumber(field: NumberField, test: NumberTest): Check {
  const passes = compileNumberTest(test);
  return {
    holds(subject) {
      const value = subject[field];
      return value !== undefined && passes(value);
    },
    explain: (subject) => `${field}: ${explainNumber(subject[field], test)}`,
  };
}

function compileNumberTest(test: NumberTest): Test<bigint> {
  const { eq, lt, lte, gt, gte, in: included, notIn: excluded } = test;
  const tests: Test<bigint>[] = [];
  if (eq !== undefined) tests.push((value) => value === eq);
  if (lt !== undefined) tests.push((value) => value < lt);
  if (lte !== undefined) tests.push((value) => value <= lte);
  if (gt !== undefined) tests.push((value) => value > gt);
  if (gte !== undefined) tests.push((value) => value >= gte);
  if (included !== undefined) tests.push(isIn(included));
  if (excluded !== undefined) tests.push((value) => !excluded.has(value));
  const [only] = tests;
  return only !== undefined && tests.length === 1 ? only : (value) => tests.every((passes) => passes(value));
}

/** Most rules name one chain, and comparing is much faster than hashing a bigint. */
function isIn(options: ReadonlySet<bigint>): Test<bigint> {
  const [only] = options;
  return options.size === 1 ? (value) => value === only : (value) => options.has(value);
}

function explainNumber(value: bigint | undefined, test: NumberTest): string {
  if (value === undefined) return 'this request has none';
  for (const name of ['eq', 'lt', 'lte', 'gt', 'gte'] as const) {
    const bound = test[name];
    if (bound !== undefined && !compileNumberTest({ [name]: bound })(value))
      return `${value} is not ${name} ${bound}`;
  }
  if (test.in?.has(value) === false) return `${value} is not in ${list(test.in)}`;
  return `${value} is in ${list(test.notIn ?? [])}`;
}

function compileTo(test: AddressTest, create: boolean | undefined): Check {
  const needsAddress = test.in !== undefined || test.notIn !== undefined;
  const failure = (subject: Subject): string | undefined => {
    const { to } = subject;
    if (to === undefined) return 'this request has none';
    if (create !== undefined && create !== (to === null)) {
      return create ? 'the transaction creates no contract' : 'the transaction creates a contract';
    }
    if (!needsAddress) return undefined;
    return to === null ? 'the transaction creates a contract' : explainAddress(to, test);
  };
  return {
    holds: (subject) => {
      const { to } = subject;
      if (to === undefined || (create !== undefined && create !== (to === null))) return false;
      return !needsAddress || (to !== null && passesAddress(to, test));
    },
    explain: (subject) => `to: ${failure(subject) ?? 'holds'}`,
  };
}

function passesAddress(address: `0x${string}`, test: AddressTest): boolean {
  return (
    (test.in === undefined || test.in.has(address)) && !(test.notIn !== undefined && test.notIn.has(address))
  );
}

function explainAddress(address: `0x${string}`, test: AddressTest): string | undefined {
  if (test.in?.has(address) === false) return `${address} is not in ${list(test.in)}`;
  return test.notIn?.has(address) === true ? `${address} is in ${list(test.notIn)}` : undefined;
}

function compileAuthorizations(predicate: Extract<Predicate, { kind: 'authorizations' }>): Check {
  const { max, address, chainId } = predicate;
  const passesChain = chainId === undefined ? undefined : compileNumberTest(chainId);
  const isRefused = (item: Subject['authorizations'][number]): boolean =>
    (address !== undefined && !passesAddress(item.address, address)) ||
    (passesChain !== undefined && !passesChain(item.chainId));
  return {
    holds: ({ authorizations }) =>
      (max === undefined || authorizations.length <= max) && !authorizations.some(isRefused),
    explain({ authorizations }) {
      if (max !== undefined && authorizations.length > max) {
        return `authorizations: ${authorizations.length} is more than max ${max}`;
      }
      const index = authorizations.findIndex(isRefused);
      const refused = authorizations[index];
      if (refused === undefined) return 'authorizations';
      const reason = address === undefined ? undefined : explainAddress(refused.address, address);
      const field = reason === undefined ? 'chainId' : 'address';
      return `authorizations[${index}].${field}: ${reason ?? explainNumber(refused.chainId, chainId ?? {})}`;
    },
  };
}

function compileDigest(test: PurposeTest): Check {
  const { in: options, prefix } = test;
  return {
    holds: ({ purpose }) =>
      purpose !== undefined &&
      (options === undefined || options.has(purpose)) &&
      (prefix === undefined || purpose.startsWith(prefix)),
    explain({ purpose }) {
      if (purpose === undefined) return 'digest.purpose: this request has none';
      const shown = shorten(JSON.stringify(purpose));
      if (options?.has(purpose) === false) return `digest.purpose: ${shown} is not in ${list(options)}`;
      return `digest.purpose: ${shown} does not start with ${JSON.stringify(prefix ?? '')}`;
    },
  };
}

function describe(condition: Condition): string {
  if (condition.kind === 'all' || condition.kind === 'any') {
    return shorten(`${condition.kind} of (${condition.of.map(describe).join(', ')})`);
  }
  if (condition.kind === 'not') return shorten(`not ${describe(condition.of)}`);
  if (condition.kind !== 'number') return condition.kind;
  const tests = Object.entries(condition.test).map(
    ([name, bound]: [string, bigint | ReadonlySet<bigint>]) =>
      `${name} ${typeof bound === 'bigint' ? bound : list(bound)}`,
  );
  return `${condition.field} ${tests.join(' and ')}`;
}

function list(values: Iterable<unknown>): string {
  const all = [...values];
  const shown = all.slice(0, MAX_LISTED).map(String).join(', ');
  return all.length > MAX_LISTED ? `[${shown}, … ${all.length - MAX_LISTED} more]` : `[${shown}]`;
}

function shorten(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
