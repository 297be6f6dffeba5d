import type { Effect } from '../effects/effect.ts';
import { createCharges } from './charge.ts';
import {
  applies,
  explainFailure,
  failsToEvaluate,
  placeOf,
  selectsKey,
  selectsPrincipal,
  type CompiledRule,
} from './compiled-rule.ts';
import type { Decision, PolicyRequest, Verdict } from './decision.ts';
import { POLICY_OPERATIONS, type BreakGlass, type PolicyModel, type PolicyOperation } from './model.ts';
import { createRuleIndex, type RuleIndex } from './rule-index.ts';
import { subjectOf, type Question as RuleQuestion } from './subject.ts';
import { KEY, PRINCIPAL } from './trait.ts';

interface PolicyIdentity {
  readonly revision: number;
  readonly hash: string;
}

/** How many rules a default deny lists as having come close, and a reason names. */
const MAX_LISTED = 5;

type Found = { readonly compiled: CompiledRule; readonly effect: Effect };

/** What was decided, before the policy is named. */
type Outcome = Omit<Verdict, 'decision'> & { readonly decision: Ruling };
type Ruling = Omit<Decision, 'policyRevision' | 'policyHash'>;
type Denial = Pick<Decision, 'rule' | 'reason' | 'failed'>;

/** The rules of one operation. */
interface RuleSet {
  readonly deny: RuleIndex;
  readonly allow: RuleIndex;
  /** Allow rules by principal and key only: those that are named to a caller whom none of them allows what it asks. */
  readonly allowOf: RuleIndex;
  readonly require: RuleIndex;
  readonly shadow: RuleIndex;
}

interface Question extends RuleQuestion {
  readonly effects: readonly Effect[];
  readonly rules: RuleSet;
  /** As it stands in a sentence. */
  readonly noun: string;
}

/**
 * The decision function of a policy: pure, total, and the same answer for the same request. Deny beats require and
 * allow, which beat default deny, whatever the order of the rules.
 */
export function createJudge(
  model: PolicyModel,
  rules: readonly CompiledRule[],
  policy: PolicyIdentity,
): (request: PolicyRequest) => Verdict {
  const byOperation = new Map(POLICY_OPERATIONS.map((operation) => [operation, ruleSetOf(rules, operation)]));
  const chargesOf = createCharges(model);
  const identity = { policyRevision: policy.revision, policyHash: policy.hash };

  function decide(request: PolicyRequest): Outcome {
    const { operation } = request.intent;
    const { effects, problem } = request.effects;
    const rules = byOperation.get(operation);
    const noun = NOUNS[operation];
    if (rules === undefined) return deny({ reason: 'the operation is not known' });
    if (problem !== undefined || effects.length === 0) {
      return deny({ reason: `${noun} cannot be read to its end: ${problem ?? 'it has no effects'}` });
    }
    const question = { request, subject: subjectOf(request), effects, rules, noun };
    const { decision, ...more } = judgeByRules(question);
    const shadow = findAll(question, rules.shadow).map(({ rule: { id, effect } }) => ({ rule: id, effect }));
    return shadow.length === 0 ? { decision, ...more } : { decision: { ...decision, shadow }, ...more };
  }

  function judgeByRules(question: Question): Outcome {
    const { request, rules, noun } = question;
    const denied = findFirst(question, rules.deny);
    if (denied !== undefined) return refuse(question, denialBy(denied, question));
    const cover = findCover(question);
    if (cover.uncovered !== undefined) return refuse(question, denyByDefault(question, cover.uncovered));
    const demands = findAll(question, rules.require);
    if (request.intent.operation === 'key.export' && demands.length === 0) {
      return deny({ reason: `${noun} needs an approval, and no rule requires one` });
    }
    const ids = [...new Set(cover.by.map(({ rule }) => rule.id))];
    const [first = ''] = ids;
    const allowing = { rule: first, ...(ids.length > 1 && { rules: ids }) };
    const breakGlass = breakGlassFor(question);
    const granted = breakGlass === undefined ? {} : { breakGlass };
    const charges = chargesFor(question);
    if (demands.length === 0) {
      const reason =
        ids.length > 1 ? `rules ${nameSome(ids)} allow ${noun}` : `rule "${first}" allows ${noun}`;
      return { decision: { effect: 'allow', ...allowing, reason }, charges, ...granted };
    }
    const approvals = approvalsOf(demands);
    return {
      decision: { effect: 'require', ...allowing, approvals, reason: reasonOf(demands, noun) },
      charges,
      ...granted,
    };
  }

  /** A denial, or what is required to override it. */
  function refuse(question: Question, denial: Denial): Outcome {
    const breakGlass = breakGlassFor(question);
    if (breakGlass === undefined) return deny(denial);
    const { rule, reason } = denial;
    const approvals = [breakGlass.approval, ...approvalsOf(findAll(question, question.rules.require))];
    return {
      decision: {
        effect: 'require',
        approvals: [...new Set(approvals)],
        overrides: rule === undefined ? { reason } : { rule, reason },
        reason: `break-glass overrides a denial: ${reason}`,
      },
      charges: chargesFor(question),
      breakGlass,
    };
  }

  function breakGlassFor(question: Question): Pick<BreakGlass, 'approval'> | undefined {
    const { breakGlass } = model;
    if (breakGlass === undefined || question.request.breakGlass === undefined) return undefined;
    if (!selectsBreakGlass(breakGlass, question.request)) return undefined;
    const isHard = findAll(question, question.rules.deny).some(({ rule }) => rule.hard);
    return isHard ? undefined : { approval: breakGlass.approval };
  }

  function chargesFor({ request, subject }: Question): Outcome['charges'] {
    return subject.operation === 'key.export' ? [] : chargesOf(request, subject);
  }

  return function judge(request) {
    try {
      const { decision, ...more } = decide(request);
      return { decision: { ...decision, ...identity }, ...more };
    } catch {
      const reason = 'the request could not be evaluated';
      return { decision: { effect: 'deny', reason, ...identity }, charges: [] };
    }
  };
}

const NOUNS: { readonly [operation in PolicyOperation]: string } = {
  transaction: 'this transaction',
  message: 'this message',
  'typed-data': 'this typed data',
  authorization: 'this authorization',
  digest: 'this digest',
  'key.export': 'this export',
};

function ruleSetOf(rules: readonly CompiledRule[], operation: PolicyOperation): RuleSet {
  const fitting = rules.filter(({ rule }) => rule.operations.has(operation));
  const enforced = (effect: 'deny' | 'allow' | 'require'): readonly CompiledRule[] =>
    fitting.filter(({ rule }) => rule.effect === effect && !rule.shadow);
  const allowing = enforced('allow');
  return {
    deny: createRuleIndex(enforced('deny')),
    allow: createRuleIndex(allowing),
    allowOf: createRuleIndex(allowing, [PRINCIPAL, KEY]),
    require: createRuleIndex(enforced('require')),
    shadow: createRuleIndex(fitting.filter(({ rule }) => rule.shadow)),
  };
}

function deny(denial: Denial): Outcome {
  return { decision: { effect: 'deny', ...denial }, charges: [] };
}

/** The first rule in document order that applies to any effect. */
function findFirst(question: Question, index: RuleIndex): Found | undefined {
  let found: Found | undefined;
  for (const effect of question.effects) {
    const compiled = findFor(question, index, effect, found?.compiled.order);
    if (compiled !== undefined) found = { compiled, effect };
  }
  return found;
}

/** The first rule in document order, but before `limit`, that applies to one effect. */
function findFor(
  question: Question,
  index: RuleIndex,
  effect: Effect,
  limit = Infinity,
): CompiledRule | undefined {
  let found: CompiledRule | undefined;
  let before = limit;
  for (const rules of index.of(question, effect)) {
    for (const rule of rules) {
      if (rule.order >= before) break;
      if (applies(rule, question, effect)) {
        found = rule;
        before = rule.order;
      }
    }
  }
  return found;
}

/** All rules that apply to any effect, in document order. */
function findAll(question: Question, index: RuleIndex): readonly CompiledRule[] {
  const found = new Set<CompiledRule>();
  for (const effect of question.effects) {
    for (const rules of index.of(question, effect)) {
      for (const rule of rules) if (!found.has(rule) && applies(rule, question, effect)) found.add(rule);
    }
  }
  return [...found].toSorted((one, other) => one.order - other.order);
}

/** For each effect the first rule that allows it, up to the first effect without one. */
function findCover(question: Question): {
  readonly by: readonly CompiledRule[];
  readonly uncovered?: Effect;
} {
  const by: CompiledRule[] = [];
  for (const effect of question.effects) {
    const rule = findFor(question, question.rules.allow, effect);
    if (rule === undefined) return { by, uncovered: effect };
    by.push(rule);
  }
  return { by };
}

function approvalsOf(demands: readonly CompiledRule[]): readonly string[] {
  return [...new Set(demands.flatMap(({ rule }) => rule.approval ?? []))];
}

function reasonOf(demands: readonly CompiledRule[], noun: string): string {
  const each = demands.map(({ rule }) => `rule "${rule.id}" requires approval "${rule.approval ?? ''}"`);
  const more = each.length > MAX_LISTED ? ` and ${each.length - MAX_LISTED} more` : '';
  return `${each.slice(0, MAX_LISTED).join(' and ')}${more} for ${noun}`;
}

function nameSome(ids: readonly string[]): string {
  const shown = ids.slice(0, MAX_LISTED).map((id) => `"${id}"`);
  return [...shown, ...(ids.length > MAX_LISTED ? [`${ids.length - MAX_LISTED} more`] : [])].join(', ');
}

function denialBy({ compiled, effect }: Found, question: Question): Denial {
  const { id } = compiled.rule;
  const place = placeOf(effect);
  const target = place === undefined ? question.noun : `${question.noun}, at ${place}`;
  const reason = failsToEvaluate(compiled, question, effect)
    ? `deny rule "${id}" could not be evaluated, so it denies ${target}`
    : `rule "${id}" denies ${target}`;
  return { rule: id, reason };
}

/** Lists rules of the request's principal and key that do not allow the effect. */
function denyByDefault(question: Question, uncovered: Effect): Denial {
  const { request, rules, noun } = question;
  const failed: { rule: string; predicate: string }[] = [];
  for (const compiled of inOrder(rules.allowOf.of(question, uncovered))) {
    if (failed.length === MAX_LISTED) break;
    const { part, text } = explainFailure(compiled, question, uncovered);
    if (part !== 'principal' && part !== 'key') failed.push({ rule: compiled.rule.id, predicate: text });
  }
  const [closest] = failed;
  if (closest !== undefined) {
    const reason = `no rule allows ${noun}; the closest, "${closest.rule}", fails at ${closest.predicate}`;
    return { reason, failed };
  }
  return { reason: denialWithoutRule(request) };
}

/** Why a request is denied where no rule is for its principal and its key. */
export function denialWithoutRule({ intent: { operation }, key }: PolicyRequest): string {
  const act = operation === 'key.export' ? 'export' : `sign ${NOUNS[operation]} with`;
  return `no rule allows this principal to ${act} key "${key.name}"`;
}

/** Each rule once. */
function inOrder(lists: readonly (readonly CompiledRule[])[]): readonly CompiledRule[] {
  const [only = []] = lists;
  return lists.length < 2
    ? only
    : [...new Set(lists.flat())].toSorted((one, other) => one.order - other.order);
}

function selectsBreakGlass(
  { principals, keys, operations }: BreakGlass,
  { principal, key, intent: { operation } }: PolicyRequest,
): boolean {
  if (operation === 'digest' || operation === 'key.export') return false;
  return operations.has(operation) && selectsPrincipal(principals, principal) && selectsKey(keys, key);
}
