import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import { compilePolicy, loadPolicy, type CompiledPolicy } from '../policy/policy.ts';
import { parseSuites, type Suite } from '../policy/suite.ts';

/** A candidate as a body carries it: YAML text, or the document as JSON. Throws `invalid_request` with every problem. */
export function readPolicy(document: unknown): CompiledPolicy {
  return typeof document === 'string'
    ? loadPolicy(document, 'document')
    : compilePolicy(document as JsonValue);
}

/** Test suites as a body carries them. Throws `invalid_request` that names the suite's file and line. */
export function readSuites(suites: readonly { readonly name: string; readonly text: string }[]): Suite[] {
  if (new Set(suites.map(({ name }) => name)).size < suites.length) {
    throw new CountersignError('invalid_request', 'two suites have the same name; rename one');
  }
  return suites.map(({ name, text }) => parseSuites(text, name));
}
