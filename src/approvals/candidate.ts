import { CountersignError, invalidField, type FieldError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import { diffPolicies } from '../policy/diff.ts';
import type { Approval } from '../policy/model.ts';
import { compilePolicy, loadPolicy, type CompiledPolicy, type StoredPolicy } from '../policy/policy.ts';
import { parseSuites, runSuite } from '../policy/suite.ts';

export type SuiteText = StoredPolicy['suites'][number];

/** What a proposal would replace. */
export interface Base {
  /** Undefined where what is stored can't be put in force. */
  readonly policy: CompiledPolicy | undefined;
  /** The empty string and 0 where there never was one. */
  readonly hash: string;
  readonly revision: number;
  readonly suites: readonly SuiteText[];
}

/** A document that may take the place of what is in force, as far as can be said without asking anybody. */
export interface Candidate {
  readonly policy: CompiledPolicy;
  readonly suites: readonly SuiteText[];
  /** All of which passed. */
  readonly tests: number;
  readonly changes: readonly string[];
}

const MAX_SUITES = 64;
/** Room for times as revisions, and none for one that no other could follow. */
const MAX_STEP = 2 ** 40;
const MAX_NAMED = 10;
const DAY_MS = 86_400_000;

/** Where a document says nothing of how it is changed, and where none is in force: one other policy-admin. */
const DEFAULT_CHANGE: Approval = {
  name: 'policy-change',
  all: [{ role: 'policy-admin', m: 1 }],
  distinct: true,
  excludeRequester: true,
  ttl: 7 * DAY_MS,
  rejects: 1,
};

/** The approval that a change of the policy takes, under the policy itself. */
export function changeApproval(policy: CompiledPolicy | undefined): Approval {
  const named = policy?.model.change?.approval;
  if (named === undefined) return DEFAULT_CHANGE;
  const approval = policy?.model.approvals.get(named);
  if (approval === undefined) {
    throw new CountersignError('internal', 'the policy names an approval for changes that it does not have');
  }
  return approval;
}

/** YAML text, or the document as JSON. Throws `invalid_request` with every problem. */
export function readDocument(document: unknown): CompiledPolicy {
  return typeof document === 'string'
    ? loadPolicy(document, 'document')
    : compilePolicy(document as JsonValue);
}

/**
 * Throws `unprocessable` for a document that may not follow the base: its revision is not higher, it says that it
 * follows another, or a test fails.
 */
export function examine(policy: CompiledPolicy, given: readonly SuiteText[], base: Base): Candidate {
  requireSuccession(policy, base);
  const suites = mergeSuites(base.suites, given);
  return {
    policy,
    suites,
    tests: requirePassing(policy, suites),
    changes: [
      ...diffPolicies(base.policy, policy).map(({ text }) => text),
      ...suiteChanges(policy, base.suites, given),
    ],
  };
}

export function requireSuccession({ revision, model }: CompiledPolicy, base: Base): void {
  if (revision <= base.revision) {
    throw refused('revision', `must be higher than ${base.revision}, which is in force`);
  }
  if (revision - base.revision > MAX_STEP) {
    throw refused(
      'revision',
      `is so high that it leaves too few for what follows; write ${base.revision + 1}`,
    );
  }
  if (model.parent !== undefined && model.parent !== base.hash) {
    throw refused('parent', `is not the policy in force, whose hash is ${base.hash}`);
  }
}

/** Returns how many tests there are. Throws `unprocessable` with every one that fails. */
export function requirePassing(policy: CompiledPolicy, suites: readonly SuiteText[]): number {
  const reports = suites.map(({ name, text }) => runSuite(policy, parseSuites(text, name)));
  const failures = reports.flatMap(({ file, tests }) =>
    tests
      .filter(({ passed }) => !passed)
      .map(({ name, why }): FieldError => ({ path: `${file}: ${name}`, message: why ?? 'did not pass' })),
  );
  if (failures.length > 0) {
    throw new CountersignError(
      'unprocessable',
      `${failures.length} of the policy’s tests fail; mend the policy, or send the suite anew under its name if the test is out of date`,
      failures,
    );
  }
  return reports.reduce((sum, { passed }) => sum + passed, 0);
}

/** The suites that were there stay; one of the same name takes the place of an earlier one. */
function mergeSuites(before: readonly SuiteText[], given: readonly SuiteText[]): readonly SuiteText[] {
  const names = new Set(given.map(({ name }) => name));
  if (names.size < given.length) throw invalidField('suites', 'two suites have the same name; rename one');
  for (const { name, text } of given) {
    if (!name.isWellFormed() || !text.isWellFormed())
      throw invalidField('suites', 'must be well-formed Unicode');
  }
  const merged = [...before.filter(({ name }) => !names.has(name)), ...given];
  if (merged.length > MAX_SUITES) throw refused('suites', `are more than ${MAX_SUITES}; put several in one`);
  return merged;
}

function suiteChanges(
  policy: CompiledPolicy,
  before: readonly SuiteText[],
  given: readonly SuiteText[],
): string[] {
  const known = new Map(before.map(({ name, text }) => [name, text]));
  return given.flatMap(({ name, text }) => {
    const old = known.get(name);
    if (old === text) return [];
    const what = old === undefined ? 'added' : `replaced; ${asItWas(policy, { name, text: old })}`;
    return `test suite ${JSON.stringify(name)}: ${what}`;
  });
}

/** What is lost with a suite: a policy may pass its tests only because they are others now. */
function asItWas(policy: CompiledPolicy, { name, text }: SuiteText): string {
  try {
    const { tests } = runSuite(policy, parseSuites(text, name));
    const failing = tests.filter(({ passed }) => !passed).map((test) => JSON.stringify(test.name));
    if (failing.length === 0) return `its tests as they were, ${tests.length}, would pass`;
    const named = failing.slice(0, MAX_NAMED).join(', ');
    const more = failing.length > MAX_NAMED ? ', …' : '';
    return `of its tests as they were, ${failing.length} of ${tests.length} would fail: ${named}${more}`;
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return `as it was it could not be run: ${error.message}`;
  }
}

function refused(path: string, message: string): CountersignError {
  return new CountersignError('unprocessable', `${path}: ${message}`, [{ path, message }]);
}
