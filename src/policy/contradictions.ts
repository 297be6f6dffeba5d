import { isEmptyAddress, isEmptyMembers, isEmptyNumber, isEmptyText } from './emptiness.ts';
import type { Condition, DomainTest, Fault, Predicate, SiweTest } from './model.ts';
import type { Path } from './read.ts';

type Kind = Predicate['kind'];
type Of<K extends Kind> = Extract<Predicate, { kind: K }>;

/** The predicates of one conjunction: all are about one effect of one request. */
interface Conjunction {
  readonly predicates: readonly Predicate[];
  readonly of: <K extends Kind>(kind: K) => readonly Of<K>[];
}

const CONTRADICTION =
  'can never hold: no value passes every comparison of this conjunction; correct or remove one';

/**
 * Conjunctions that nothing can satisfy, such as a value both below 1 and above 2, or two tokens at once. Reports what
 * is certain; it does not search through alternatives.
 */
export function findContradictions(condition: Condition): Fault[] {
  if (condition.kind === 'any') return condition.of.flatMap(findContradictions);
  if (condition.kind === 'not') return findContradictions(condition.of);
  const parts = conjunctsOf(condition);
  const nested = parts.filter((part) => part.kind === 'any' || part.kind === 'not');
  const predicates = parts.filter((part) => part.kind !== 'any' && part.kind !== 'not');
  const byKind = Map.groupBy(predicates, ({ kind }) => kind);
  const conjunction: Conjunction = {
    predicates,
    of: <K extends Kind>(kind: K) => (byKind.get(kind) ?? []) as Of<K>[],
  };
  const paths = CHECKS.flatMap((findLast) => findLast(conjunction) ?? []);
  const faults = [...paths, ...findNumbers(conjunction)].map((path) => ({ path, message: CONTRADICTION }));
  return [...faults, ...nested.flatMap(findContradictions)];
}

/** The parts of nested `all`s, which are one conjunction. */
function conjunctsOf(condition: Condition): Exclude<Condition, { kind: 'all' }>[] {
  return condition.kind === 'all' ? condition.of.flatMap(conjunctsOf) : [condition];
}

/** Each gives the path of the last of the predicates that exclude each other. */
const CHECKS: readonly ((conjunction: Conjunction) => Pathed | undefined)[] = [
  findRecipient,
  findCall,
  findToken,
  findTyped,
  findMessage,
  ({ of }) => lastIf(of('create'), (all) => isEmptyText(all.map(({ initcodeHash }) => initcodeHash))),
  ({ of }) =>
    lastIf(
      of('authorizations'),
      (all) =>
        isEmptyNumber(all.flatMap(({ chainId }) => chainId ?? [])) ||
        isEmptyAddress(all.flatMap(({ address }) => address ?? [])),
    ),
  ({ of }) => lastIf(of('digest'), (all) => isEmptyText(all.map(({ purpose }) => purpose))),
];

/** In a list, so that `flatMap` does not take the path apart. */
type Pathed = readonly [Path];

function lastIf<P extends Predicate>(
  predicates: readonly P[],
  isEmpty: (all: readonly P[]) => boolean,
): Pathed | undefined {
  const last = predicates.at(-1);
  return last !== undefined && isEmpty(predicates) ? [last.path] : undefined;
}

/** A token is of one chain. */
function findNumbers({ of }: Conjunction): Path[] {
  const byField = Map.groupBy(of('number'), ({ field }) => field);
  const chains = of('token').map(({ token }) => ({ eq: token.chain }));
  return [...byField].flatMap(([field, group]) => {
    const tests = group.map(({ test }) => test);
    const isEmpty = isEmptyNumber(field === 'chainId' ? [...tests, ...chains] : tests);
    const last = group.at(-1);
    return isEmpty && last !== undefined ? [last.path] : [];
  });
}

/** A creation has no recipient, calls nothing and moves no token. */
function findRecipient({ predicates, of }: Conjunction): Pathed | undefined {
  const recipients = of('to');
  const creates = of('create').length > 0 || recipients.some(({ create }) => create === true);
  const calls =
    of('call').length + of('token').length > 0 ||
    recipients.some(
      ({ create, test }) => create === false || test.in !== undefined || test.notIn !== undefined,
    );
  const tests = [...recipients.map(({ test }) => test), ...of('call').flatMap(({ to }) => to ?? [])];
  const involved = predicates.filter(({ kind }) => INVOLVED.has(kind));
  return lastIf(involved, () => (creates && calls) || isEmptyAddress(tests));
}

const INVOLVED: ReadonlySet<Kind> = new Set(['to', 'create', 'call', 'token']);

function findCall({ of }: Conjunction): Pathed | undefined {
  return lastIf(
    of('call'),
    (all) =>
      new Set(all.map(({ fn }) => fn.selector)).size > 1 ||
      new Set(all.flatMap(({ delegate }) => delegate ?? [])).size > 1 ||
      isEmptyMembers(all.flatMap(({ args }) => args)),
  );
}

function findToken({ of }: Conjunction): Pathed | undefined {
  return lastIf(
    of('token'),
    (all) =>
      new Set(all.map(({ token }) => token.name)).size > 1 ||
      // As a choice, since each action is one of a few words.
      isEmptyText(all.map(({ actions }) => ({ in: actions }))) ||
      (['from', 'to', 'spender'] as const).some((name) =>
        isEmptyAddress(all.flatMap((one) => one[name] ?? [])),
      ) ||
      (['amount', 'tokenId'] as const).some((name) => isEmptyNumber(all.flatMap((one) => one[name] ?? []))),
  );
}

function findTyped({ of }: Conjunction): Pathed | undefined {
  return lastIf(
    of('typed'),
    (all) =>
      new Set(all.flatMap(({ type }) => type ?? [])).size > 1 ||
      isEmptyDomain(all.map(({ domain }) => domain)) ||
      isEmptyMembers(all.flatMap(({ message }) => message)),
  );
}

function isEmptyDomain(all: readonly DomainTest[]): boolean {
  return (
    (['name', 'version', 'salt'] as const).some((name) =>
      isEmptyText(all.flatMap((one) => one[name] ?? [])),
    ) ||
    isEmptyNumber(all.flatMap(({ chainId }) => chainId ?? [])) ||
    isEmptyAddress(all.flatMap(({ verifyingContract }) => verifyingContract ?? []))
  );
}

function findMessage({ of }: Conjunction): Pathed | undefined {
  return lastIf(
    of('message'),
    (all) =>
      isEmptySiwe(all.flatMap(({ siwe }) => siwe ?? [])) ||
      isEmptyNumber(all.flatMap(({ len }) => len ?? [])),
  );
}

function isEmptySiwe(all: readonly SiweTest[]): boolean {
  return (
    (['domain', 'uri'] as const).some((name) => isEmptyText(all.flatMap((one) => one[name] ?? []))) ||
    isEmptyNumber(all.flatMap(({ chainId }) => chainId ?? []))
  );
}
