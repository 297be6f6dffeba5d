import { decodeEffects } from '../effects/decode.ts';
import type { JsonValue } from '../jcs.ts';
import type { Decision, PolicyRequest } from './decision.ts';
import type { PolicyModel } from './model.ts';
import { readTime } from './moment.ts';
import type { CompiledPolicy } from './policy.ts';
import {
  isList,
  NAME,
  NAME_HINT,
  readChoice,
  readMapping,
  readNames,
  readText,
  type Mapping,
  type Path,
  type Problems,
} from './read.ts';
import { ASKED, readIntent, readKey, readRequester } from './suite-request.ts';
import { readState, usageOf, type State } from './suite-state.ts';
import { parseStrictYaml } from './yaml.ts';

/** Tests of a policy, read but not yet against one: what they name is looked up in the policy that they are run on. */
export interface Suite {
  readonly name: string;
  /** That problems are reported under. */
  readonly file: string;
  readonly text: string;
}

/** What a test says of the decision; what is absent may be anything. */
export interface Expectation {
  readonly effect: Decision['effect'];
  /** One of the rules that decided. */
  readonly rule?: string;
  /** All of the approvals that are asked for. */
  readonly approvals?: readonly string[];
  readonly limit?: string;
  /** Part of the reason, or of what kept one of the rules that came close from allowing it. */
  readonly reason?: string;
}

/** What came of a test, without what the policy's identity says of it. */
export type Outcome = Omit<Decision, 'policyRevision' | 'policyHash' | 'limits'>;

export interface TestReport {
  readonly name: string;
  readonly passed: boolean;
  readonly expected: Expectation;
  readonly got: Outcome;
  /** Where it did not pass: every difference. */
  readonly why?: string;
}

export interface SuiteReport {
  readonly suite: string;
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
  readonly tests: readonly TestReport[];
}

/** Each takes a decision: bounds what one suite costs. */
const MAX_TESTS = 2_000;

const SUITE = ['suite', 'now', 'state', 'tests'];
const TEST = ['name', 'as', 'key', ...ASKED, 'now', 'state', 'breakGlass', 'expect'];
const EXPECT = ['effect', 'rule', 'approval', 'approvals', 'limit', 'reason'];
const EFFECTS = ['allow', 'deny', 'require'] as const;

const TITLE = /^[^\p{Cc}]{1,200}$/u;
const TITLE_HINT = 'write 1 to 200 characters on one line';

/**
 * Reads a suite from its YAML text.
 * @param file the name that problems are reported under
 * @throws CountersignError `invalid_request` with every problem that shows without a policy: `file:line:column`, path,
 * what is wrong and what to write instead.
 */
export function parseSuites(text: string, file: string): Suite {
  const { value, problems } = parseStrictYaml(text, file, 'the test suite');
  const { name } = readSuite(value, problems);
  problems.throwIfAny();
  return { name, file, text };
}

/**
 * Runs a suite: pure, the same report every time.
 * @throws CountersignError `invalid_request` where a test names a token, limit or group that the policy does not have.
 */
export function runSuite(policy: CompiledPolicy, { file, text }: Suite): SuiteReport {
  const { value, problems } = parseStrictYaml(text, file, 'the test suite');
  const { name, tests } = readSuite(value, problems, policy.model);
  problems.throwIfAny();
  const reports = tests.map((test) => runTest(policy, test));
  const passed = reports.filter((report) => report.passed).length;
  return { suite: name, file, passed, failed: reports.length - passed, tests: reports };
}

interface Test {
  readonly name: string;
  readonly request: PolicyRequest;
  readonly state: State;
  readonly expected: Expectation;
}

/** Without a model, there are no tests yet: what they ask for may need the policy's tokens. */
function readSuite(
  value: JsonValue,
  problems: Problems,
  model?: PolicyModel,
): { readonly name: string; readonly tests: readonly Test[] } {
  const members = readMapping(value, [], problems, SUITE);
  if (members === undefined) return { name: '', tests: [] };
  const name = readText(members.get('suite'), ['suite'], problems, TITLE, TITLE_HINT) ?? '';
  const now = members.has('now') ? readTime(members.get('now'), ['now'], problems) : undefined;
  const state = members.has('state')
    ? readState(members.get('state'), ['state'], problems, model)
    : new Map();
  const items = members.get('tests');
  if (items === undefined || !isList(items) || items.length === 0 || items.length > MAX_TESTS) {
    problems.add(['tests'], `must be a list of 1 to ${MAX_TESTS} tests`);
    return { name, tests: [] };
  }
  const context = { problems, now, state, model, names: new Set<string>() };
  const tests = items.flatMap((item, index) => readTest(item, ['tests', index], context) ?? []);
  return { name, tests };
}

interface TestContext {
  readonly problems: Problems;
  /** Of the suite, for tests that do not say. */
  readonly now: number | undefined;
  readonly state: State;
  readonly model: PolicyModel | undefined;
  /** Of the tests before. */
  readonly names: Set<string>;
}

function readTest(value: JsonValue, path: Path, context: TestContext): Test | undefined {
  const { problems, model } = context;
  const members = readMapping(value, path, problems, TEST);
  if (members === undefined) return undefined;
  const at = (name: string): Path => [...path, name];
  const name = readText(members.get('name'), at('name'), problems, TITLE, TITLE_HINT) ?? '';
  if (context.names.has(name)) problems.add(at('name'), 'is the name of an earlier test; rename one');
  context.names.add(name);
  const requester = readRequester(members.get('as'), at('as'), problems);
  const key = readKey(members.get('key'), at('key'), problems);
  const now = members.has('now') ? readTime(members.get('now'), at('now'), problems) : context.now;
  if (now === undefined && !members.has('now')) {
    problems.add(path, 'has no time; write now: 2026-11-20T10:00:00Z, here or for the whole suite', 'key');
  }
  const own: State = members.has('state')
    ? readState(members.get('state'), at('state'), problems, model)
    : new Map();
  const breakGlass = members.has('breakGlass')
    ? readText(members.get('breakGlass'), at('breakGlass'), problems, TITLE, 'write the reason that is given')
    : undefined;
  const expected = readExpectation(members.get('expect'), at('expect'), problems);
  const intent = readAsked(members, path, context);
  if (intent === undefined) return undefined;
  const effects = decodeEffects(intent, key.address);
  const request = { ...requester, key, intent, effects, now: now ?? 0, breakGlass };
  return { name, request, state: new Map([...context.state, ...own]), expected };
}

function readAsked(
  members: Mapping,
  path: Path,
  { problems, model }: TestContext,
): PolicyRequest['intent'] | undefined {
  if (model !== undefined) return readIntent(members, path, { problems, tokens: model.tokens });
  // What needs the policy's tokens is read when there is a policy.
  if (members.has('transaction') && ASKED.filter((each) => members.has(each)).length === 1) return undefined;
  return readIntent(members, path, { problems, tokens: new Map() });
}

function readExpectation(value: JsonValue | undefined, path: Path, problems: Problems): Expectation {
  const members = readMapping(value, path, problems, EXPECT);
  if (members === undefined) return { effect: 'deny' };
  const at = (name: string): Path => [...path, name];
  const optional = (name: string, pattern: RegExp, hint: string): string | undefined =>
    members.has(name) ? readText(members.get(name), at(name), problems, pattern, hint) : undefined;
  const effect = readChoice(members.get('effect'), at('effect'), problems, EFFECTS) ?? 'deny';
  const rule = optional('rule', NAME, NAME_HINT);
  const limit = optional('limit', NAME, NAME_HINT);
  const reason = optional('reason', /./, 'write a part of the reason');
  const approval = optional('approval', NAME, NAME_HINT);
  const several = members.has('approvals')
    ? [...readNames(members.get('approvals'), at('approvals'), problems)]
    : undefined;
  if (approval !== undefined && several !== undefined) {
    problems.add(at('approval'), 'says what `approvals` says; keep one of the two', 'key');
  }
  const approvals = approval === undefined ? several : [approval];
  return {
    effect,
    ...(rule === undefined ? {} : { rule }),
    ...(approvals === undefined ? {} : { approvals }),
    ...(limit === undefined ? {} : { limit }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function runTest(policy: CompiledPolicy, { name, request, state, expected }: Test): TestReport {
  const usage = usageOf(state);
  const { policyRevision: _, policyHash: __, limits: ___, ...got } = policy.evaluate(request, usage);
  const asks = (rule: string): boolean =>
    got.effect === 'require' &&
    policy
      .explain(request, usage)
      .rules.some((each) => each.rule === rule && each.effect === 'require' && each.matches && !each.shadow);
  const differences = differencesOf(expected, got, asks);
  const passed = differences.length === 0;
  return {
    name,
    passed,
    expected,
    got,
    ...(passed ? {} : { why: `${differences.join('; ')}. ${got.reason}` }),
  };
}

/** @param asks whether a rule of that name asks for an approval: a decision names the rules that allow. */
function differencesOf(expected: Expectation, got: Outcome, asks: (rule: string) => boolean): string[] {
  const { effect, rule, approvals, limit, reason } = expected;
  const differences: string[] = [];
  const expect = (holds: boolean, what: string, wanted: string, found: string | undefined): void => {
    if (!holds) differences.push(`expected ${what} ${wanted}, got ${found ?? 'none'}`);
  };
  expect(effect === got.effect, 'effect', effect, got.effect);
  if (rule !== undefined) {
    const rules = got.rules ?? (got.rule === undefined ? [] : [got.rule]);
    const overridden = got.overrides?.rule;
    const isThere = rules.includes(rule) || overridden === rule || asks(rule);
    expect(
      isThere,
      'rule',
      rule,
      [...rules, ...(overridden === undefined ? [] : [overridden])].join(', ') || undefined,
    );
  }
  if (approvals !== undefined) {
    const found = [...(got.approvals ?? [])].toSorted().join(', ');
    const wanted = approvals.toSorted().join(', ');
    expect(wanted === found, 'approvals', wanted, found || undefined);
  }
  if (limit !== undefined) expect(limit === got.limit, 'limit', limit, got.limit);
  const reasons = [got.reason, ...(got.failed ?? []).map((each) => `${each.rule}: ${each.predicate}`)];
  if (reason !== undefined && !reasons.some((each) => each.includes(reason))) {
    differences.push(`expected ${JSON.stringify(reason)} in the reason`);
  }
  return differences;
}
