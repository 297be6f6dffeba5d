import assert from 'node:assert/strict';
import { DEFAULT_LIMITS, parseStrictJson } from '../../../src/http/json.ts';
import { canonicalize, isCanonical, type JsonValue } from '../../../src/jcs.ts';
import { attempt } from '../attempt.ts';

/** Bodies: what is taken is what JSON.parse reads, with each member once and within the limits. */
export function fuzz(bytes: Uint8Array): void {
  const value = attempt(['invalid_request', 'payload_too_large'], () => parseStrictJson(bytes));
  if (value === undefined) return;
  let members = 0;
  const text = Buffer.from(bytes).toString('utf8');
  const again = JSON.parse(text, (name, member: unknown) => {
    members++;
    assert.ok(!['__proto__', 'constructor', 'prototype'].includes(name));
    if (typeof member === 'number') assert.ok(Number.isSafeInteger(member));
    return member;
  }) as JsonValue;
  assert.deepEqual(value, again);
  assert.ok(members <= DEFAULT_LIMITS.nodes + 1);

  // RFC 8785: a fixed point, which all readers agree on. It writes a negative zero as zero.
  const canonical = attempt(['invalid_request'], () => canonicalize(again));
  if (canonical === undefined) return;
  const reread = JSON.parse(canonical) as JsonValue;
  assert.equal(canonicalize(reread), canonical);
  assert.equal(isCanonical(canonical, reread), true);
  assert.equal(isCanonical(text, again), text === canonical);
  assert.deepEqual(parseStrictJson(Buffer.from(canonical, 'utf8')), reread);
}
