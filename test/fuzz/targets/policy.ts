import assert from 'node:assert/strict';
import type { JsonValue } from '../../../src/jcs.ts';
import { compilePolicy, loadPolicy } from '../../../src/policy/policy.ts';
import { parseSuites } from '../../../src/policy/suite.ts';
import { attempt, textOf } from '../attempt.ts';

/** Policies and their tests: they compile, or every mistake is told; the stored form of a policy means the same. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const policy = attempt(['invalid_request'], () => loadPolicy(text, 'p'));
  if (policy !== undefined)
    assert.equal(compilePolicy(JSON.parse(policy.json) as JsonValue).hash, policy.hash);
  // The two are told apart by their first members.
  if (text.startsWith('suite')) attempt(['invalid_request'], () => parseSuites(text, 't'));
}
