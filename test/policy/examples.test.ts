import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/policy.ts';
import { parseSuites, runSuite, type SuiteReport } from '../../src/policy/suite.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../examples/policies');
const files = readdirSync(FOLDER);
const policies = files.filter((file) => file.endsWith('.yaml') && !file.endsWith('.test.yaml'));

function read(file: string): string {
  return readFileSync(path.join(FOLDER, file), 'utf8');
}

/** Rules that had a part in some decision, by the suite's own expectations and by the decisions. */
function exercised({ tests }: SuiteReport): Set<string | undefined> {
  return new Set(
    tests.flatMap(({ expected, got }) => [
      expected.rule,
      got.rule,
      got.overrides?.rule,
      ...(got.rules ?? []),
      ...(got.shadow ?? []).map(({ rule }) => rule),
    ]),
  );
}

test('there are examples, each with its suite and its line in the README', () => {
  expect(policies.length).toBeGreaterThanOrEqual(6);
  const suites = files.filter((file) => file.endsWith('.test.yaml'));
  expect(suites).toEqual(policies.map((file) => file.replace('.yaml', '.test.yaml')).toSorted());
  for (const file of policies) expect(read('README.md')).toContain(`(${file})`);
});

describe.each(policies)('%s', (file) => {
  const policy = loadPolicy(read(file), file);
  const suite = file.replace('.yaml', '.test.yaml');
  const report = runSuite(policy, parseSuites(read(suite), suite));

  test('does what its suite says', () => {
    expect(report.tests.filter(({ passed }) => !passed)).toEqual([]);
    expect(report.passed).toBeGreaterThanOrEqual(6);
  });

  test('denies, and lets something through', () => {
    const effects = report.tests.map(({ got }) => got.effect);
    expect(effects).toContain('deny');
    expect(effects.some((effect) => effect !== 'deny')).toBe(true);
    expect(policy.model.rules.some(({ effect }) => effect === 'deny')).toBe(true);
  });

  test('has no rule, and no limit, without a test', () => {
    const rules = exercised(report);
    expect(policy.model.rules.map(({ id }) => id).filter((id) => !rules.has(id))).toEqual([]);
    const limits = new Set(report.tests.map(({ got }) => got.limit));
    expect(policy.model.limits.map(({ name }) => name).filter((name) => !limits.has(name))).toEqual([]);
  });

  test('is commented', () => {
    expect(read(file)).toMatch(/^# /);
    expect(read(file).match(/^ *# /gm)?.length).toBeGreaterThanOrEqual(4);
  });
});
