import type { Hex } from '../bytes.ts';
import { OPERATIONS, type Operation } from '../intent/intent.ts';
import {
  boundsOf,
  CALLDATA_UNCOVERED,
  chainsOf,
  findUncovered,
  hasUndecodedCall,
  recipientsOf,
  type Bound,
} from './bounds.ts';
import { compileCondition, type Check } from './compile.ts';
import type { Decision, PolicyRequest } from './decision.ts';
import { subjectOf, type KeySelector, type PrincipalSelector, type Rule, type Subject } from './model.ts';

interface PolicyIdentity {
  readonly revision: number;
  readonly hash: string;
}

interface CompiledRule {
  /** Place in the document: of several rules that match, the first one is named. */
  readonly order: number;
  readonly rule: Rule;
  readonly check: Check | undefined;
  readonly bounds: ReadonlySet<Bound>;
}

interface RuleIndex {
  readonly all: readonly CompiledRule[];
  /**
   * Lists, each in document order, that together hold every rule that can match. The others cannot: they
   * select other keys, or their condition holds only on other chains or for other recipients.
   */
  candidates(key: PolicyRequest['key'], subject: Subject): (readonly CompiledRule[])[];
}

/** How many rules a default deny lists as having come close. */
const MAX_LISTED = 5;

type Match = (rule: CompiledRule, request: PolicyRequest, subject: Subject) => boolean;

/**
 * The decision function of a policy: pure, total, and the same answer for the same request. Deny beats allow
 * beats default deny, whatever the order of the rules.
 */
export function createEvaluator(
  rules: readonly Rule[],
  policy: PolicyIdentity,
): (request: PolicyRequest) => Decision {
  const compiled = rules.map((rule, order) => ({
    order,
    rule,
    check: rule.when === undefined ? undefined : compileCondition(rule.when),
    bounds: boundsOf(rule.when),
  }));
  const denyRules = indexByOperation(compiled.filter(({ rule }) => rule.effect === 'deny'));
  const allowRules = indexByOperation(compiled.filter(({ rule }) => rule.effect === 'allow'));
  const identity = { policyRevision: policy.revision, policyHash: policy.hash };

  function decide(request: PolicyRequest): Omit<Decision, 'policyRevision' | 'policyHash'> {
    const subject = subjectOf(request.intent);
    const { operation } = subject;
    const noun = NOUNS[operation];
    const denied = findFirst(denyRules[operation], request, subject, denies);
    if (denied !== undefined) {
      const { id } = denied.rule;
      const reason = failsToEvaluate(denied, request, subject)
        ? `deny rule "${id}" could not be evaluated, so it denies ${noun}`
        : `rule "${id}" denies ${noun}`;
      return { effect: 'deny', rule: id, reason };
    }
    const allowed = findFirst(allowRules[operation], request, subject, allows);
    if (allowed !== undefined) {
      const { id } = allowed.rule;
      return { effect: 'allow', rule: id, reason: `rule "${id}" allows ${noun}` };
    }
    return denyByDefault(allowRules[operation], request, subject);
  }

  return function evaluate(request) {
    try {
      return { ...decide(request), ...identity };
    } catch {
      return { effect: 'deny', reason: 'the request could not be evaluated', ...identity };
    }
  };
}

const NOUNS: { readonly [operation in Operation]: string } = {
  transaction: 'this transaction',
  message: 'this message',
  'typed-data': 'this typed data',
  authorization: 'this authorization',
  digest: 'this digest',
};

function indexByOperation(rules: readonly CompiledRule[]): { readonly [operation in Operation]: RuleIndex } {
  const indexes = OPERATIONS.map((operation) => [
    operation,
    createRuleIndex(rules.filter(({ rule }) => rule.operations.has(operation))),
  ]);
  return Object.fromEntries(indexes) as { [operation in Operation]: RuleIndex };
}

/** The first rule in document order that matches. */
function findFirst(
  index: RuleIndex,
  request: PolicyRequest,
  subject: Subject,
  matches: Match,
): CompiledRule | undefined {
  let found: CompiledRule | undefined;
  for (const rules of index.candidates(request.key, subject)) {
    for (const rule of rules) {
      if (found !== undefined && rule.order >= found.order) break;
      if (matches(rule, request, subject)) found = rule;
    }
  }
  return found;
}

/** An error inside a deny rule denies. */
function denies(compiled: CompiledRule, request: PolicyRequest, subject: Subject): boolean {
  try {
    return holds(compiled, request, subject);
  } catch {
    return true;
  }
}

function failsToEvaluate(compiled: CompiledRule, request: PolicyRequest, subject: Subject): boolean {
  try {
    holds(compiled, request, subject);
    return false;
  } catch {
    return true;
  }
}

/** An error inside an allow rule does not match. */
function allows(compiled: CompiledRule, request: PolicyRequest, subject: Subject): boolean {
  try {
    return holds(compiled, request, subject) && findUncovered(subject, compiled.bounds) === undefined;
  } catch {
    return false;
  }
}

function holds(compiled: CompiledRule, request: PolicyRequest, subject: Subject): boolean {
  return selects(compiled.rule, request) && (compiled.check === undefined || compiled.check.holds(subject));
}

function selects(rule: Rule, request: PolicyRequest): boolean {
  return (
    (rule.principals === undefined || selectsPrincipal(rule.principals, request.principal)) &&
    (rule.keys === undefined || selectsKey(rule.keys, request.key))
  );
}

function selectsPrincipal(selector: PrincipalSelector, principal: PolicyRequest['principal']): boolean {
  if (selector.ids.has(principal.id)) return true;
  for (const role of principal.roles) if (selector.roles.has(role)) return true;
  return false;
}

function selectsKey(selector: KeySelector, key: PolicyRequest['key']): boolean {
  if (selector.every || selector.names.has(key.name)) return true;
  for (const tag of key.tags) if (selector.tags.has(tag)) return true;
  return false;
}

function denyByDefault(
  index: RuleIndex,
  request: PolicyRequest,
  subject: Subject,
): Omit<Decision, 'policyRevision' | 'policyHash'> {
  const failed: { rule: string; predicate: string }[] = [];
  for (const compiled of index.all) {
    if (failed.length === MAX_LISTED) break;
    const predicate = whyNot(compiled, request, subject);
    if (predicate !== undefined) failed.push({ rule: compiled.rule.id, predicate });
  }
  const noun = NOUNS[subject.operation];
  const [closest] = failed;
  if (closest === undefined) {
    const reason = hasUndecodedCall(subject)
      ? CALLDATA_UNCOVERED
      : `no rule allows this principal to sign ${noun} with key "${request.key.name}"`;
    return { effect: 'deny', reason };
  }
  const reason = hasUndecodedCall(subject)
    ? CALLDATA_UNCOVERED
    : `no rule allows ${noun}; the closest, "${closest.rule}", fails at ${closest.predicate}`;
  return { effect: 'deny', reason, failed };
}

/** What kept an allow rule from matching a request of its principals and keys; undefined for other requests. */
function whyNot(compiled: CompiledRule, request: PolicyRequest, subject: Subject): string | undefined {
  try {
    if (!selects(compiled.rule, request)) return undefined;
    const { check } = compiled;
    return check?.holds(subject) === false ? check.explain(subject) : findUncovered(subject, compiled.bounds);
  } catch {
    return 'the rule could not be evaluated';
  }
}

/** The rules of one chain, or of any chain, each filed under its recipients, else its keys, else `rest`. */
interface Shelf {
  readonly byRecipient: Map<Hex, CompiledRule[]>;
  readonly byKeyName: Map<string, CompiledRule[]>;
  readonly byKeyTag: Map<string, CompiledRule[]>;
  readonly rest: CompiledRule[];
}

/** A rule is not filed under more chains, or more recipients, than this: the index stays linear in the document. */
const MAX_FILED = 64;

function createRuleIndex(rules: readonly CompiledRule[]): RuleIndex {
  const byChain = new Map<bigint, Shelf>();
  const onAnyChain = createShelf();
  for (const compiled of rules) {
    const chains = chainsOf(compiled.rule.when);
    if (chains === undefined || chains.size > MAX_FILED) file(compiled, onAnyChain);
    else for (const chain of chains) file(compiled, getOrCreate(byChain, chain, createShelf));
  }
  return {
    all: rules,
    candidates(key, subject) {
      const found: CompiledRule[][] = [];
      collect(onAnyChain, key, subject, found);
      const shelf = subject.chainId === undefined ? undefined : byChain.get(subject.chainId);
      if (shelf !== undefined) collect(shelf, key, subject, found);
      return found;
    },
  };
}

function createShelf(): Shelf {
  return { byRecipient: new Map(), byKeyName: new Map(), byKeyTag: new Map(), rest: [] };
}

function file(compiled: CompiledRule, shelf: Shelf): void {
  const { keys, when } = compiled.rule;
  const recipients = recipientsOf(when);
  if (recipients !== undefined && recipients.size <= MAX_FILED) {
    for (const recipient of recipients) getOrCreate(shelf.byRecipient, recipient, newList).push(compiled);
  } else if (keys !== undefined && !keys.every && keys.names.size + keys.tags.size <= MAX_FILED) {
    for (const name of keys.names) getOrCreate(shelf.byKeyName, name, newList).push(compiled);
    for (const tag of keys.tags) getOrCreate(shelf.byKeyTag, tag, newList).push(compiled);
  } else {
    shelf.rest.push(compiled);
  }
}

function collect(shelf: Shelf, key: PolicyRequest['key'], subject: Subject, found: CompiledRule[][]): void {
  const forRecipient = typeof subject.to === 'string' ? shelf.byRecipient.get(subject.to) : undefined;
  if (forRecipient !== undefined) found.push(forRecipient);
  const forName = shelf.byKeyName.get(key.name);
  if (forName !== undefined) found.push(forName);
  for (const tag of key.tags) {
    const forTag = shelf.byKeyTag.get(tag);
    if (forTag !== undefined) found.push(forTag);
  }
  if (shelf.rest.length > 0) found.push(shelf.rest);
}

function newList(): CompiledRule[] {
  return [];
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
