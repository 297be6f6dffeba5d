import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { compilePolicy, loadPolicy } from '../../../src/policy/policy.ts';
import { parseSuites } from '../../../src/policy/suite.ts';
import { parseStrictYaml } from '../../../src/policy/yaml.ts';
import { attempt, textOf } from '../attempt.ts';

/** The YAML of policies and their tests: what is taken is what any YAML parser reads, and its stored form means the same. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const refusals = ['invalid_request'] as const;
  const value = attempt(refusals, () => {
    const read = parseStrictYaml(text, 'p');
    read.problems.throwIfAny();
    return read.value;
  });
  if (value !== undefined) {
    const json = attempt(refusals, () => canonicalize(value));
    if (json !== undefined) assert.equal(canonicalize(parse(text) as JsonValue), json);
  }
  const policy = attempt(refusals, () => loadPolicy(text, 'p'));
  if (policy !== undefined) {
    const stored = compilePolicy(JSON.parse(policy.json) as JsonValue);
    assert.equal(stored.hash, policy.hash);
    assert.equal(value === undefined, false);
  }
  attempt(refusals, () => parseSuites(text, 't'));
}
