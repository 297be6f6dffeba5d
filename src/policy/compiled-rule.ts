import { BlockList, isIP } from 'node:net';
import type { Effect } from '../effects/effect.ts';
import { CountersignError } from '../errors.ts';
import { createDecoders, type DecoderOf } from './decoders.ts';
import { boundsOf, findUncovered, type Bound } from './bounds.ts';
import { compileCondition } from './compile.ts';
import type { PolicyRequest } from './decision.ts';
import type { KeySelector, PrincipalSelector, Rule, SourceTest } from './model.ts';
import type { Check } from './predicate.ts';
import { restrictionsOf, type Restriction } from './restriction.ts';
import type { Question } from './subject.ts';
import { isOpen } from './windows.ts';
import { shorten } from './wording.ts';

/** What a rule says of the request as a whole, whatever its effects. */
export type Part = 'principal' | 'key' | 'draining' | 'validity' | 'source' | 'window';

export interface CompiledRule {
  /** Place in the document: of several rules that match, the first one is named. */
  readonly order: number;
  readonly rule: Rule;
  readonly bounds: ReadonlySet<Bound>;
  readonly restrictions: readonly Restriction[];
  readonly check: Check | undefined;
  /** Undefined where it cannot be told. */
  readonly isFrom: (source: PolicyRequest['source']) => boolean | undefined;
}

export function compileRules(rules: readonly Rule[]): readonly CompiledRule[] {
  const decoderOf = createDecoders();
  return rules.map((rule, order) => compileRule(rule, order, decoderOf));
}

function compileRule(rule: Rule, order: number, decoderOf: DecoderOf): CompiledRule {
  return {
    order,
    rule,
    bounds: boundsOf(rule.when),
    restrictions: restrictionsOf(rule, decoderOf),
    check: rule.when === undefined ? undefined : compileCondition(rule.when, decoderOf),
    isFrom: compileSource(rule.source),
  };
}

function compileSource(test: SourceTest | undefined): CompiledRule['isFrom'] {
  if (test === undefined) return () => true;
  const { cidr, mtls } = test;
  const networks = new BlockList();
  for (const each of cidr ?? []) {
    const [network = '', bits] = each.split('/');
    networks.addSubnet(network, Number(bits), isIP(network) === 4 ? 'ipv4' : 'ipv6');
  }
  return ({ address = '', mtls: proved }) => {
    if (mtls !== undefined && proved !== mtls) return false;
    if (cidr === undefined) return true;
    const family = isIP(address);
    return family === 0 ? undefined : networks.check(address, family === 4 ? 'ipv4' : 'ipv6');
  };
}

/** What keeps the rule from applying to a request, if anything does. */
function findBlocking({ rule, isFrom }: CompiledRule, request: PolicyRequest): Part | undefined {
  const { principal, key, source, now } = request;
  const { validity, windows } = rule;
  if (rule.principals !== undefined && !selectsPrincipal(rule.principals, principal)) return 'principal';
  if (rule.keys !== undefined && !selectsKey(rule.keys, key)) return 'key';
  if (rule.effect === 'allow' && key.draining && !rule.draining) return 'draining';
  if (validity?.from !== undefined && !(now >= validity.from)) return 'validity';
  if (validity?.until !== undefined && !(now < validity.until)) return 'validity';
  // A caller that comes from nowhere slips past no rule that denies.
  if (!(isFrom(source) ?? rule.effect !== 'allow')) return 'source';
  return windows === undefined || windows.some((window) => isOpen(window, now)) ? undefined : 'window';
}

export function selectsPrincipal(
  { ids, roles }: PrincipalSelector,
  principal: PolicyRequest['principal'],
): boolean {
  if (ids.has(principal.id)) return true;
  for (const role of principal.roles) if (roles.has(role)) return true;
  return false;
}

export function selectsKey({ every, names, tags }: KeySelector, key: PolicyRequest['key']): boolean {
  if (every || names.has(key.name)) return true;
  for (const tag of key.tags) if (tags.has(tag)) return true;
  return false;
}

/** Throws where it cannot be told. */
function holds(compiled: CompiledRule, { request, subject }: Question, effect: Effect): boolean {
  const { check } = compiled;
  return (
    findBlocking(compiled, request) === undefined && (check === undefined || check.holds(subject, effect))
  );
}

/**
 * Whether the rule does to the effect what it is there for. An error inside a deny rule denies, inside a require rule
 * requires, and inside an allow rule allows nothing; an allow rule has to cover the effect, too.
 */
export function applies(compiled: CompiledRule, question: Question, effect: Effect): boolean {
  const allows = compiled.rule.effect === 'allow';
  try {
    return (
      holds(compiled, question, effect) &&
      (!allows || findUncovered(question.subject, effect, compiled.bounds) === undefined)
    );
  } catch {
    return !allows;
  }
}

export function failsToEvaluate(compiled: CompiledRule, question: Question, effect: Effect): boolean {
  try {
    holds(compiled, question, effect);
    return false;
  } catch {
    return true;
  }
}

/** What kept a rule from applying: a part of it, or the first predicate that fails, and for which inner call. */
export function explainFailure(
  compiled: CompiledRule,
  question: Question,
  effect: Effect,
): { readonly part?: Part; readonly text: string } {
  const { request, subject } = question;
  try {
    const part = findBlocking(compiled, request);
    if (part !== undefined) return { part, text: part };
    const { check, bounds } = compiled;
    const text =
      check === undefined || check.holds(subject, effect)
        ? (findUncovered(subject, effect, bounds) ?? 'nothing')
        : check.explain(subject, effect);
    return { text: within(effect, text) };
  } catch (error) {
    const reason = error instanceof CountersignError ? `: ${error.message}` : '';
    return { text: within(effect, shorten(`the rule could not be evaluated${reason}`)) };
  }
}

function within(effect: Effect, text: string): string {
  const place = placeOf(effect);
  return place === undefined ? text : `${place}: ${text}`;
}

/** Of a call inside another; undefined for the outermost effect. */
export function placeOf(effect: Effect): string | undefined {
  return effect.kind === 'call' && effect.path !== ''
    ? `inner call ${effect.path} to ${effect.to}`
    : undefined;
}
