import assert from 'node:assert/strict';
import { compilePattern } from '../../../src/policy/pattern.ts';
import { attempt, textOf } from '../attempt.ts';

/** What both dialects read alike: text, dots, repetition, choice, groups. */
const COMMON = /^[a-z0-9.*+?|()]*$/;
/** JavaScript's may take exponential time. */
const MAX_TEXT = 12;

/** A pattern of a policy, a newline, a text: it compiles, or says what is wrong; simple ones match as JavaScript's do. */
export function fuzz(bytes: Uint8Array): void {
  const [pattern = '', ...lines] = textOf(bytes).split('\n');
  const text = lines.join('\n');
  const compiled = compilePattern(pattern);
  if ('problem' in compiled) {
    assert.ok(compiled.problem.length < 2_000);
    return;
  }
  const matched = attempt(['unprocessable'], () => compiled.value.matches(text));
  assert.equal(matched === undefined, text.length > compiled.value.longest);
  if (!COMMON.test(pattern) || pattern.includes('(?') || !/^[a-z0-9]*$/.test(text)) return;
  const theirs = text.length > MAX_TEXT ? undefined : regularExpression(`^(?:${pattern})$`);
  if (theirs !== undefined) assert.equal(matched, theirs.test(text));
}

function regularExpression(source: string): RegExp | undefined {
  try {
    return new RegExp(source, 'u');
  } catch {
    return undefined;
  }
}
