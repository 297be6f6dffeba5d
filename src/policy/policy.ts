import { createHash } from 'node:crypto';
import { CountersignError } from '../errors.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import { compileRules } from './compiled-rule.ts';
import type { Decision, PolicyRequest, UsageOf, Verdict } from './decision.ts';
import { readDocument, type PolicyDocument } from './document.ts';
import { createJudge } from './evaluate.ts';
import { createExplainer, type Explanation } from './explain.ts';
import type { PolicyModel } from './model.ts';
import { createProblems, type Problems } from './read.ts';
import { NOTHING_USED, settle } from './settle.ts';
import { parseStrictYaml } from './yaml.ts';

/** A policy that was checked whole. Immutable; one may serve any number of requests. */
export interface CompiledPolicy {
  readonly document: PolicyDocument;
  /** RFC 8785 JSON of the document: what is stored. */
  readonly json: string;
  /** SHA-256 of `json` in UTF-8, hex. */
  readonly hash: string;
  readonly revision: number;
  readonly model: PolicyModel;
  /** What the rules say, and what the request would be charged. Pure and total: does no I/O and never throws. */
  judge(request: PolicyRequest): Verdict;
  /** `judge`, settled. Throws what `usage` throws; without it nothing was used. */
  evaluate(request: PolicyRequest, usage?: UsageOf): Decision;
  /** `evaluate`, with what came of each rule and limit. */
  explain(request: PolicyRequest, usage?: UsageOf): Explanation;
}

/**
 * Compiles a policy from its YAML text.
 * @param file the name that problems are reported under
 * @throws CountersignError `invalid_request` with every problem found: path, and in the message `file:line:column`,
 * what is wrong and what to write instead.
 */
export function loadPolicy(text: string, file: string): CompiledPolicy {
  const { value, problems } = parseStrictYaml(text, file);
  return compile(value, problems);
}

/** Compiles a stored revision from its JSON; the same checks, and problems without positions. */
export function compilePolicy(document: JsonValue): CompiledPolicy {
  return compile(
    document,
    createProblems('the policy', () => undefined),
  );
}

function compile(value: JsonValue, problems: Problems): CompiledPolicy {
  const model = readDocument(value, problems);
  problems.throwIfAny();
  const json = canonicalize(value);
  const hash = createHash('sha256').update(json, 'utf8').digest('hex');
  // A copy, so that a caller who changes what was passed in does not change what is shown as the policy.
  const document = JSON.parse(json) as PolicyDocument;
  const { revision } = document;
  const rules = compileRules(model.rules);
  const judge = createJudge(model, rules, { revision, hash });
  const explain = createExplainer(rules, judge);
  return {
    document,
    json,
    hash,
    revision,
    model,
    judge,
    evaluate: (request, usage = NOTHING_USED) => settle(judge(request), usage),
    explain: (request, usage = NOTHING_USED) => explain(request, usage),
  };
}

/** A policy as it is kept: its canonical JSON (RFC 8785) and the SHA-256 of that, hex. */
export interface StoredPolicy {
  readonly revision: number;
  readonly document: string;
  readonly hash: string;
  /** Hash of the policy that was in force before; null for the first. */
  readonly parentHash: string | null;
  /** Test suites that came with it, as their YAML text by file name. */
  readonly suites: readonly { readonly name: string; readonly text: string }[];
}

/** A policy that is or was in force. */
export interface PolicyRevision {
  readonly revision: number;
  readonly hash: string;
  readonly parentHash: string | null;
  /** When it came in force, RFC 3339. */
  readonly time: string;
}

export interface PolicyReads {
  newestPolicy(): StoredPolicy | undefined;
  policyByRevision(revision: number): StoredPolicy | undefined;
  /** Newest first. */
  policies(): readonly PolicyRevision[];
}

export interface PolicyWrites {
  insertPolicy(policy: StoredPolicy, time: string): void;
}

/** The policy in force, or the reason why there is none and nothing can be signed. */
export class PolicyInForce {
  #policy: CompiledPolicy | undefined;
  #problem: string | undefined = 'no policy has been loaded yet';

  /** Undefined while there is a policy. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** SHA-256 of its canonical JSON, hex. Throws `unavailable` where there is none. */
  get hash(): string {
    return this.current().hash;
  }

  use(policy: CompiledPolicy): void {
    this.#policy = policy;
    this.#problem = undefined;
  }

  fail(problem: string): void {
    this.#policy = undefined;
    this.#problem = problem;
  }

  /** Throws `unavailable` where there is none. */
  current(): CompiledPolicy {
    if (this.#policy === undefined) {
      throw new CountersignError(
        'unavailable',
        `there is no policy in force, so nothing is signed: ${this.#problem}`,
      );
    }
    return this.#policy;
  }

  judge(request: PolicyRequest): Verdict {
    return this.current().judge(request);
  }

  evaluate(request: PolicyRequest, usage?: UsageOf): Decision {
    return this.current().evaluate(request, usage);
  }
}
