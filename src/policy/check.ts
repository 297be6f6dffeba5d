import { boundsOf, type Bound } from './bounds.ts';
import { findContradictions } from './contradictions.ts';
import type {
  Condition,
  Fault,
  MemberTest,
  NumberField,
  NumberTest,
  PolicyOperation,
  Predicate,
  Rule,
} from './model.ts';
import type { Path } from './read.ts';

interface Demand {
  /** One of these is enough. */
  readonly bounds: readonly Bound[];
  readonly remedy: string;
}

/** What an allow rule has to bind on every path, by operation. The others may go without `when`. */
const DEMANDS: { readonly [operation in PolicyOperation]: readonly Demand[] } = {
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
  // Never allowed alone: a require rule has to apply too, which is seen when the request is there.
  'key.export': [],
};

/** What is wrong with a rule that reads well: demands not met, predicates that do not apply, contradictions. */
export function findFaults(rule: Rule, path: Path): Fault[] {
  const faults =
    rule.when === undefined ? [] : [...findMisapplied(rule, rule.when), ...findContradictions(rule.when)];
  return rule.effect !== 'allow' ? faults : [...faults, ...findUnboundAllow(rule, path)];
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
  return [...predicatesOf(when)].flatMap(({ predicate, isNegated }) =>
    findLoosePredicate(predicate, bounds).concat(findUnseen(predicate, isNegated)),
  );
}

function findLoosePredicate(predicate: Predicate, bounds: ReadonlySet<Bound>): Fault[] {
  const { kind, path } = predicate;
  const creates = kind === 'create' || (kind === 'to' && predicate.create === true);
  if (creates && !bounds.has('create')) {
    const message = 'allows a contract creation on some paths only; give creations a rule of their own';
    return [{ path: kind === 'to' ? [...path, 'create'] : path, message }];
  }
  const everyChain = 'chain id 0 stands for every chain (EIP-7702); allow chains by their own ids';
  if (kind === 'number' && predicate.field === 'chainId' && admitsZero(predicate.test)) {
    return [{ path, message: everyChain }];
  }
  if (kind === 'authorizations' && admitsZero(predicate.chainId)) {
    return [{ path: [...path, 'every', 'chainId'], message: everyChain }];
  }
  if (kind === 'message' && predicate.siwe !== undefined && predicate.siwe.domain?.in === undefined) {
    const message =
      'allows to log in anywhere; an allow rule binds the domain by eq or in, as in { domain: { eq: "app.example" } }';
    return [{ path: [...path, 'siwe'], message }];
  }
  const uri = kind === 'message' ? predicate.siwe?.uri?.prefix : undefined;
  if (uri !== undefined && !WITH_HOST.test(uri)) {
    const message =
      'begins URIs of other hosts, too, as https://app.example begins https://app.example.evil; write the whole host and a /';
    return [{ path: [...path, 'siwe', 'uri', 'prefix'], message }];
  }
  return [];
}

/** RFC 3986: a scheme, and an authority that has come to its end. */
const WITH_HOST = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]+[/?#]/;

/**
 * In an allow rule every entry of a list is looked at: what holds of some entry says nothing of the others, which would
 * pass unseen. `every` under `not` is such a test too, since it holds as soon as one entry is otherwise; under two
 * `not`s it is itself again.
 */
function findUnseen(predicate: Predicate, isNegated: boolean): Fault[] {
  const { kind, path } = predicate;
  if (kind === 'authorizations') {
    const hasEvery = predicate.address !== undefined || predicate.chainId !== undefined;
    return isNegated && hasEvery ? [{ path: [...path, 'every'], message: NOT_EVERY }] : [];
  }
  if (kind === 'call') return findUnseenItems(predicate.args, [...path, 'args'], isNegated);
  return kind === 'typed' ? findUnseenItems(predicate.message, [...path, 'message'], isNegated) : [];
}

const SOME =
  'is not for allow rules: the other entries would pass unseen; write every, or a deny rule with some';
const NOT_EVERY =
  'stands under not, so one entry can hold it while the others pass unseen; write every with the opposite comparison, or a deny rule';

function findUnseenItems(tests: readonly MemberTest[], path: Path, isNegated: boolean): Fault[] {
  return tests.flatMap(({ name, test }) => {
    if (test.kind !== 'list') return [];
    const listPath = name === '' ? path : [...path, name];
    const { every, some } = test;
    return [
      ...(some === undefined ? [] : [{ path: [...listPath, 'some'], message: SOME }]),
      ...(every === undefined || !isNegated ? [] : [{ path: [...listPath, 'every'], message: NOT_EVERY }]),
      ...findUnseenItems(every ?? [], [...listPath, 'every'], isNegated),
      ...findUnseenItems(some ?? [], [...listPath, 'some'], isNegated),
    ];
  });
}

function admitsZero(test: NumberTest | undefined): boolean {
  return test?.eq === 0n || test?.in?.has(0n) === true;
}

function findMisapplied(rule: Rule, when: Condition): Fault[] {
  return [...predicatesOf(when)].flatMap(({ predicate }) => {
    const applies = operationsOf(predicate);
    const strangers = [...rule.operations].filter((operation) => !applies.includes(operation));
    if (strangers.length === 0) return [];
    const name = predicate.kind === 'number' ? predicate.field : predicate.kind;
    const message = `\`${name}\` says nothing about ${strangers.join(' or ')}; give that operation a rule of its own`;
    return [{ path: predicate.path, message }];
  });
}

/** What a predicate can be asked about. A typed message can carry calls and tokens: an order to a Safe, a permit. */
const APPLIES: { readonly [kind in Exclude<Predicate['kind'], 'number'>]: readonly PolicyOperation[] } = {
  to: ['transaction', 'typed-data'],
  accessList: ['transaction'],
  blobs: ['transaction'],
  create: ['transaction'],
  authorizations: ['transaction', 'authorization'],
  call: ['transaction', 'typed-data'],
  token: ['transaction', 'typed-data'],
  typed: ['typed-data'],
  message: ['message'],
  digest: ['digest'],
};

const NUMBER_APPLIES: ReadonlyMap<NumberField, readonly PolicyOperation[]> = new Map([
  ['chainId', ['transaction', 'typed-data', 'authorization']],
  ['value', ['transaction', 'typed-data']],
  ['nonce', ['transaction', 'authorization']],
]);

function operationsOf(predicate: Predicate): readonly PolicyOperation[] {
  if (predicate.kind !== 'number') return APPLIES[predicate.kind];
  return NUMBER_APPLIES.get(predicate.field) ?? ['transaction'];
}

interface Placed {
  readonly predicate: Predicate;
  /** Whether it stands under an odd number of `not`s. */
  readonly isNegated: boolean;
}

function* predicatesOf(condition: Condition, isNegated = false): Generator<Placed> {
  if (condition.kind === 'not') yield* predicatesOf(condition.of, !isNegated);
  else if (condition.kind === 'all' || condition.kind === 'any') {
    for (const branch of condition.of) yield* predicatesOf(branch, isNegated);
  } else yield { predicate: condition, isNegated };
}
