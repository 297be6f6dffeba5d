import type { Effect } from '../effects/effect.ts';
import { applies, explainFailure, type CompiledRule } from './compiled-rule.ts';
import type { Decision, LimitUse, PolicyRequest, UsageOf, Verdict } from './decision.ts';
import type { Rule } from './model.ts';
import { settle } from './settle.ts';
import { subjectOf, type Question } from './subject.ts';

export interface RuleExplanation {
  readonly rule: string;
  readonly effect: Rule['effect'];
  readonly shadow: boolean;
  /** Whether it denies, requires or allows any effect of the request. */
  readonly matches: boolean;
  /**
   * What keeps it from that: `principal`, `key`, `draining`, `validity`, `source`, `window`, or the first predicate that
   * fails. Of an allow rule that matches, where an effect has no rule: why this is not one for it.
   */
  readonly failed?: string;
}

export interface LimitExplanation extends LimitUse {
  /** What is left without the request; 0 where more was used than the limit is now. */
  readonly headroom: bigint;
}

export interface Explanation {
  readonly decision: Decision;
  /** Every rule of the operation, in document order. */
  readonly rules: readonly RuleExplanation[];
  /** Every limit that the request is charged to. */
  readonly limits: readonly LimitExplanation[];
}

/** A decision, and what came of each rule and each limit on the way to it. Total, but for `usage`. */
export function createExplainer(
  rules: readonly CompiledRule[],
  judge: (request: PolicyRequest) => Verdict,
): (request: PolicyRequest, usage: UsageOf) => Explanation {
  return function explain(request, usage) {
    const decision = settle(judge(request), usage);
    return {
      decision,
      rules: explainRules(rules, request),
      limits: (decision.limits ?? []).map(explainLimit),
    };
  };
}

function explainLimit({ limit, scope, amount, before, max }: LimitUse): LimitExplanation {
  return { limit, scope, amount, before, max, headroom: before < max ? max - before : 0n };
}

function explainRules(rules: readonly CompiledRule[], request: PolicyRequest): readonly RuleExplanation[] {
  try {
    const { effects } = request.effects;
    const question = { request, subject: subjectOf(request) };
    const fitting = rules.filter(({ rule }) => rule.operations.has(request.intent.operation));
    const uncovered = findUncoveredEffect(fitting, question, effects);
    return fitting.map((compiled) => explainRule(compiled, question, effects, uncovered));
  } catch {
    return [];
  }
}

function explainRule(
  compiled: CompiledRule,
  question: Question,
  effects: readonly Effect[],
  uncovered: Effect | undefined,
): RuleExplanation {
  const { id, effect, shadow } = compiled.rule;
  const matches = effects.some((each) => applies(compiled, question, each));
  const explained = { rule: id, effect, shadow, matches };
  const open = effect === 'allow' ? uncovered : undefined;
  const missed = matches ? open : (open ?? effects[0]);
  if (missed === undefined || applies(compiled, question, missed)) return explained;
  return { ...explained, failed: explainFailure(compiled, question, missed).text };
}

function findUncoveredEffect(
  rules: readonly CompiledRule[],
  question: Question,
  effects: readonly Effect[],
): Effect | undefined {
  const allowing = rules.filter(({ rule }) => rule.effect === 'allow' && !rule.shadow);
  return effects.find((effect) => !allowing.some((compiled) => applies(compiled, question, effect)));
}
