import type { Operation } from '../intent/intent.ts';
import { MAX_UINT256 } from './amount.ts';
import { boundsOf, type Bound } from './bounds.ts';
import type {
  AddressTest,
  Condition,
  Fault,
  NumberField,
  NumberTest,
  Predicate,
  PurposeTest,
  Rule,
} from './model.ts';
import type { Path } from './read.ts';

interface Demand {
  /** One of these is enough. */
  readonly bounds: readonly Bound[];
  readonly remedy: string;
}

/** What an allow rule has to bind on every path, by operation. Messages and typed data may go without `when`. */
const DEMANDS: { readonly [operation in Operation]: readonly Demand[] } = {
  transaction: [
    { bounds: ['chainId'], remedy: 'chainId by eq or in, as in { chainId: { in: [1] } }' },
    {
      bounds: ['maxTotalFee'],
      remedy: 'maxTotalFee by lte, lt or eq, as in { maxTotalFee: { lte: "0.05 ether" } }',
    },
  ],
  authorization: [
    {
      bounds: ['chainId', 'authorizations.chainId'],
      remedy: 'the chain by eq or in, as in { chainId: { eq: 1 } }',
    },
    {
      bounds: ['authorizations.address'],
      remedy: 'the delegate by eq or in, as in { authorizations: { every: { address: { in: ["0x…"] } } } }',
    },
  ],
  digest: [{ bounds: ['digest.purpose'], remedy: 'the purpose, as in { digest: { purpose: { eq: "…" } } }' }],
  message: [],
  'typed-data': [],
};

/** What is wrong with a rule that reads well: demands not met, predicates that do not apply, contradictions. */
export function findFaults(rule: Rule, path: Path): Fault[] {
  const faults =
    rule.when === undefined ? [] : [...findMisapplied(rule, rule.when), ...findContradictions(rule.when)];
  return rule.effect === 'deny' ? faults : [...faults, ...findUnboundAllow(rule, path)];
}

function findUnboundAllow(rule: Rule, path: Path): Fault[] {
  const faults: Fault[] = [];
  for (const selector of ['principals', 'keys'] as const) {
    if (rule[selector] === undefined) {
      const all = selector === 'keys' ? '{ names: ["*"] } for every key' : '{ roles: [signer] }';
      faults.push({
        path: [...path, selector],
        message: `an allow rule names its ${selector}; write ${selector}: ${all}`,
      });
    }
  }
  const bounds = boundsOf(rule.when);
  for (const operation of rule.operations) {
    const missing = DEMANDS[operation].filter((demand) => !demand.bounds.some((bound) => bounds.has(bound)));
    if (missing.length === 0) continue;
    const remedies = missing.map((demand) => demand.remedy).join(', and ');
    faults.push({
      path: [...path, 'when'],
      message: `an allow rule for ${operation} must bound, on every path through all, any and not, ${remedies}`,
    });
  }
  if (rule.when !== undefined) faults.push(...findLooseAllow(rule.when, bounds));
  return faults;
}

/** Predicates that would look as if they allowed something, and do not, or allow too much. */
function findLooseAllow(when: Condition, bounds: ReadonlySet<Bound>): Fault[] {
  return predicatesOf(when).flatMap((predicate) => {
    const { kind, path } = predicate;
    if (kind === 'to' && predicate.create === true && !bounds.has('create')) {
      const message = 'allows a contract creation on some paths only; give creations a rule of their own';
      return [{ path: [...path, 'create'], message }];
    }
    const message = 'chain id 0 stands for every chain (EIP-7702); allow chains by their own ids';
    if (kind === 'number' && predicate.field === 'chainId' && admitsZero(predicate.test))
      return [{ path, message }];
    if (kind === 'authorizations' && admitsZero(predicate.chainId)) {
      return [{ path: [...path, 'every', 'chainId'], message }];
    }
    return [];
  });
}

function admitsZero(test: NumberTest | undefined): boolean {
  return test?.eq === 0n || test?.in?.has(0n) === true;
}

function findMisapplied(rule: Rule, when: Condition): Fault[] {
  return predicatesOf(when).flatMap((predicate) => {
    const applies = operationsOf(predicate);
    const strangers = [...rule.operations].filter((operation) => !applies.includes(operation));
    if (strangers.length === 0) return [];
    const name = predicate.kind === 'number' ? predicate.field : predicate.kind;
    const message = `\`${name}\` says nothing about ${strangers.join(' or ')}; give that operation a rule of its own`;
    return [{ path: predicate.path, message }];
  });
}

function operationsOf(predicate: Predicate): readonly Operation[] {
  if (predicate.kind === 'digest') return ['digest'];
  const isShared =
    predicate.kind === 'authorizations' ||
    (predicate.kind === 'number' && OF_AUTHORIZATIONS.has(predicate.field));
  return isShared ? ['transaction', 'authorization'] : ['transaction'];
}

/** The numbers that an EIP-7702 authorization has too. */
const OF_AUTHORIZATIONS: ReadonlySet<NumberField> = new Set(['chainId', 'nonce']);

function predicatesOf(condition: Condition): Predicate[] {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.flatMap(predicatesOf);
  return condition.kind === 'not' ? predicatesOf(condition.of) : [condition];
}

const CONTRADICTION =
  'can never hold: no value passes every comparison of this conjunction; correct or remove one';

/**
 * Conjunctions that nothing can satisfy, such as a value both below 1 and above 2. Reports what is certain;
 * it does not search through alternatives.
 */
function findContradictions(condition: Condition): Fault[] {
  if (condition.kind === 'any') return condition.of.flatMap(findContradictions);
  if (condition.kind === 'not') return findContradictions(condition.of);
  const parts = conjunctsOf(condition);
  const predicates = parts.filter((part) => part.kind !== 'any' && part.kind !== 'not');
  const nested = parts.filter((part) => part.kind === 'any' || part.kind === 'not');
  return [...findEmpty(predicates), ...nested.flatMap(findContradictions)];
}

/** The parts of nested `all`s, which are one conjunction. */
function conjunctsOf(condition: Condition): Exclude<Condition, { kind: 'all' }>[] {
  return condition.kind === 'all' ? condition.of.flatMap(conjunctsOf) : [condition];
}

/** One fault for each subject whose tests exclude each other, at the last of them. */
function findEmpty(predicates: readonly Predicate[]): Fault[] {
  const faults: Fault[] = [];
  const numbers = Map.groupBy(
    predicates.filter((predicate) => predicate.kind === 'number'),
    ({ field }) => field,
  );
  for (const group of numbers.values()) {
    report(isEmptyNumber(group.map(({ test }) => test)), group.at(-1)?.path);
  }
  const recipients = predicates.filter((predicate) => predicate.kind === 'to');
  const creates = recipients.some(({ create }) => create === true);
  const calls = recipients.some(
    ({ create, test }) => create === false || test.in !== undefined || test.notIn !== undefined,
  );
  report((creates && calls) || isEmptyAddress(recipients.map(({ test }) => test)), recipients.at(-1)?.path);
  const lists = predicates.filter((predicate) => predicate.kind === 'authorizations');
  report(
    isEmptyNumber(lists.flatMap(({ chainId }) => chainId ?? [])) ||
      isEmptyAddress(lists.flatMap(({ address }) => address ?? [])),
    lists.at(-1)?.path,
  );
  const digests = predicates.filter((predicate) => predicate.kind === 'digest');
  report(isEmptyPurpose(digests.map(({ purpose }) => purpose)), digests.at(-1)?.path);
  return faults;

  function report(isEmpty: boolean, path: Path | undefined): void {
    if (isEmpty && path !== undefined) faults.push({ path, message: CONTRADICTION });
  }
}

function isEmptyNumber(tests: readonly NumberTest[]): boolean {
  let low = 0n;
  let high = MAX_UINT256;
  for (const { eq, lt, lte, gt, gte } of tests) {
    low = max(low, eq, gte, gt === undefined ? undefined : gt + 1n);
    high = min(high, eq, lte, lt === undefined ? undefined : lt - 1n);
  }
  if (low > high) return true;
  const passes = (value: bigint): boolean =>
    value >= low &&
    value <= high &&
    tests.every((test) => (test.in?.has(value) ?? true) && test.notIn?.has(value) !== true);
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options !== undefined) return ![...options].some(passes);
  return low === high && !passes(low);
}

function isEmptyAddress(tests: readonly AddressTest[]): boolean {
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options === undefined) return false;
  return ![...options].some((address) =>
    tests.every((test) => (test.in?.has(address) ?? true) && test.notIn?.has(address) !== true),
  );
}

function isEmptyPurpose(tests: readonly PurposeTest[]): boolean {
  const options = tests.find((test) => test.in !== undefined)?.in;
  if (options === undefined) return false;
  return ![...options].some((purpose) =>
    tests.every((test) => (test.in?.has(purpose) ?? true) && purpose.startsWith(test.prefix ?? '')),
  );
}

function max(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((most, next) => (next !== undefined && next > most ? next : most), first);
}

function min(first: bigint, ...others: readonly (bigint | undefined)[]): bigint {
  return others.reduce<bigint>((least, next) => (next !== undefined && next < least ? next : least), first);
}
