import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { canonicalize, type JsonValue } from '../../../src/jcs.ts';
import { parseStrictYaml } from '../../../src/policy/yaml.ts';
import { attempt, textOf } from '../attempt.ts';

/** The YAML of policies and their tests: what is taken is what any YAML parser reads. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const json = attempt(['invalid_request'], () => {
    const { value, problems } = parseStrictYaml(text, 'p');
    problems.throwIfAny();
    return canonicalize(value);
  });
  if (json !== undefined) assert.equal(canonicalize(parse(text) as JsonValue), json);
}
