import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/policy.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { parseSuites, runSuite } from '../../src/policy/suite.ts';

const text = readFileSync(path.resolve(import.meta.dirname, '../../docs/policy.md'), 'utf8');
const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block);

/** A rule under which each predicate of docs/policy.md can stand. */
function wrap(condition: string, operation: string): string {
  const lines = condition.trimEnd().split('\n');
  return `apiVersion: countersign/policy/v1
revision: 1
lists: { payouts: ["0x1111111111111111111111111111111111111111"] }
tokens:
  usdc: { chain: 1, address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", standard: erc20, decimals: 6 }
abis:
  router: ["exactInputSingle((address tokenIn, address tokenOut, uint24 fee, address recipient, uint256 amountIn, uint256 amountOutMinimum, uint160 sqrtPriceLimitX96) params)"]
rules:
  - id: it
    effect: deny
    operations: [${operation}]
    when:
      any:
${lines.map((line) => `        ${line}`).join('\n')}
`;
}

test('the documents and rules in docs/policy.md compile', () => {
  const documents = blocks.filter((block) => block.startsWith('apiVersion'));
  expect(documents).toHaveLength(1);
  for (const block of documents) expect(() => loadPolicy(block, 'docs')).not.toThrow();
  const rules = blocks.filter((block) => block.startsWith('- id'));
  expect(rules).toHaveLength(1);
  for (const rule of rules) {
    expect(() =>
      loadPolicy(`apiVersion: countersign/policy/v1\nrevision: 1\nrules:\n${rule}`, 'docs'),
    ).not.toThrow();
  }
});

test('the suite in docs/policy.md holds for the policy there, and each of its tests can fail', () => {
  const policy = blocks.find((block) => block.startsWith('apiVersion')) ?? '';
  const suites = blocks.filter((block) => block.startsWith('suite:'));
  expect(suites).toHaveLength(1);
  for (const suite of suites) {
    const run = (document: string): [number, number] => {
      const { passed, failed } = runSuite(loadPolicy(document, 'docs'), parseSuites(suite, 'docs'));
      return [passed, failed];
    };
    expect(run(policy)).toEqual([2, 0]);
    expect(run(policy.replace('eq: 1 }', 'eq: 10 }'))).toEqual([0, 2]);
  }
});

test('the parts of documents in docs/policy.md fit together', () => {
  const part = (start: string): string => {
    const found = blocks.filter((block) => block.startsWith(start) && !block.startsWith('apiVersion'));
    return found.at(-1) ?? '';
  };
  const policy = `apiVersion: countersign/policy/v1
revision: 3
${part('approvals:\n  finance')}${part('breakGlass:').replace('big', 'finance').replace('groups: [hot]', 'tags: [hot]')}
change: { approval: finance }
rules: [{ id: no, effect: deny, operations: [message] }]
`;
  const { model } = loadPolicy(policy, 'docs');
  expect([...model.approvals.keys()]).toEqual(['finance']);
  expect(model.limits.map(({ onExceed }) => onExceed)).toEqual([{ approval: 'finance' }]);
  expect(model.breakGlass?.approval).toBe('finance');
});

test('the predicates in docs/policy.md compile', () => {
  const predicates = blocks
    .filter((block) => block.startsWith('- ') && !block.startsWith('- id'))
    .concat([...text.matchAll(/\| `(\w+: \{[^`]*\})`/g)].map(([, inline = '']) => `- ${inline}`));
  expect(predicates).toHaveLength(19);
  for (const predicate of predicates) {
    const [, kind = ''] = /^- (\w+)/.exec(predicate) ?? [];
    const operation = { digest: 'digest', typed: 'typed-data', message: 'message' }[kind] ?? 'transaction';
    expect(() => loadPolicy(wrap(predicate, operation), 'docs')).not.toThrow();
  }
});

test('the starter is the policy that docs/policy.md describes', () => {
  for (const { id } of loadPolicy(STARTER_POLICY, 'policy.yaml').document.rules)
    expect(text).toContain(`| \`${id}\``);
});
