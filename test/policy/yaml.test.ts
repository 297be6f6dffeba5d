import { describe, expect, test } from 'vitest';
import { compilePolicy, loadPolicy } from '../../src/policy/policy.ts';
import { documentOf, refusal } from './fixtures.ts';

const HEAD = 'apiVersion: countersign/policy/v1\nrevision: 1\n';
const RULE = `rules:
  - id: deny-all
    effect: deny
    operations: [transaction]
`;

function linesOf(text: string): string[] {
  return refusal(() => loadPolicy(text, 'p.yaml')).lines;
}

describe('the YAML of policies', () => {
  test('is YAML 1.2 core: comments, flow and block, quotes, document start and end', () => {
    const text = `# first\n---\n'apiVersion': "countersign/policy/v1"\nrevision: 1 # second\nrules: []\n...\n`;
    expect(loadPolicy(text, 'p.yaml').json).toBe(
      '{"apiVersion":"countersign/policy/v1","revision":1,"rules":[]}',
    );
  });

  test('may have a byte order mark and CRLF line ends', () => {
    expect(loadPolicy(`\uFEFF${(HEAD + RULE).replaceAll('\n', '\r\n')}`, 'p.yaml').hash).toBe(
      loadPolicy(HEAD + RULE, 'p.yaml').hash,
    );
  });

  test('is hashed as canonical JSON, whatever its layout', () => {
    const other =
      '{"rules":[{"effect":deny, id: deny-all, operations: ["transaction"]}], revision: 1, apiVersion: countersign/policy/v1}';
    const policy = loadPolicy(HEAD + RULE, 'p.yaml');
    expect(loadPolicy(other, 'q.yaml').hash).toBe(policy.hash);
    expect(policy.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(policy.revision).toBe(1);
    expect(policy.document).toEqual(JSON.parse(policy.json));
    expect(compilePolicy(JSON.parse(policy.json)).hash).toBe(policy.hash);
  });

  test.each<[string, string, string]>([
    ['an anchor', `${HEAD}rules: &all []\n`, ': p.yaml:3:8: anchors are not supported'],
    ['an alias', `${HEAD}rules: *all\n`, ': p.yaml:3:8: aliases are not supported'],
    ['a tag', `${HEAD}rules: !!seq []\n`, ': p.yaml:3:8: tags are not supported'],
    ['a non-specific tag', `${HEAD}rules: ! []\n`, ': p.yaml:3:8: tags are not supported'],
    ['a tag in a flow list', `${HEAD}rules: [1, !!int "2"]\n`, ': p.yaml:3:12: tags are not supported'],
    ['a %YAML directive', `%YAML 1.1\n---\n${HEAD}${RULE}`, ': p.yaml:1:1: directives are not supported'],
    [
      'a %TAG directive',
      `%TAG ! tag:x,2000:\n---\n${HEAD}${RULE}`,
      ': p.yaml:1:1: directives are not supported',
    ],
    ['a second document', `${HEAD}${RULE}---\na: 1\n`, ': p.yaml:7:1: a policy is one YAML document'],
    [
      'a merge key',
      `${HEAD}${RULE}<<: { revision: 2 }\n`,
      '["<<"]: p.yaml:7:1: merge keys are not supported',
    ],
    ['a duplicate key', `${HEAD}${RULE}revision: 2\n`, 'revision: p.yaml:7:1: this key is already there'],
    [
      'a duplicate key, quoted',
      `${HEAD}${RULE}"revision": 2\n`,
      'revision: p.yaml:7:1: this key is already there',
    ],
    [
      'a nested duplicate',
      `${HEAD}lists: { a: ["0x${'11'.repeat(20)}"], a: [] }\n${RULE}`,
      'lists.a: p.yaml:3:61: this key is already there',
    ],
    ['a number as a key', `${HEAD}${RULE}1: 2\n`, '["1"]: p.yaml:7:1: a key must be text'],
    ['true as a key', `${HEAD}${RULE}true: 2\n`, 'true: p.yaml:7:1: a key must be text'],
    ['null as a key', `${HEAD}${RULE}~: 2\n`, '["~"]: p.yaml:7:1: a key must be text'],
    [
      'a list as a key',
      `${HEAD}${RULE}? [a]\n: 2\n`,
      '["a list or mapping"]: p.yaml:7:3: a key must be text',
    ],
    [
      '__proto__',
      `${HEAD}${RULE}__proto__: { revision: 2 }\n`,
      '__proto__: p.yaml:7:1: `__proto__` is not known here',
    ],
    [
      'an unknown key',
      `${HEAD}${RULE}rule: []\n`,
      'rule: p.yaml:7:1: `rule` is not known here; use one of: apiVersion',
    ],
    [
      'an unquoted address',
      `${HEAD}lists: { a: [0x${'11'.repeat(20)}] }\n${RULE}`,
      `lists.a[0]: p.yaml:3:14: unquoted hexadecimal reads as a number in YAML; write "0x${'11'.repeat(20)}"`,
    ],
    [
      'an unquoted address of capitals',
      `${HEAD}lists: { a: [0x${'AB'.repeat(20)}] }\n${RULE}`,
      'lists.a[0]: p.yaml:3:14: unquoted hexadecimal',
    ],
    [
      'a hexadecimal number',
      `${HEAD.replace('revision: 1\n', 'revision: 0x1\n')}${RULE}`,
      'revision: p.yaml:2:11: unquoted hexadecimal',
    ],
    [
      'an octal number',
      `${HEAD.replace('revision: 1\n', 'revision: 0o1\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'a leading zero',
      `${HEAD.replace('revision: 1\n', 'revision: 01\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'a plus sign',
      `${HEAD.replace('revision: 1\n', 'revision: +1\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'a float',
      `${HEAD.replace('revision: 1\n', 'revision: 1.0\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'an exponent',
      `${HEAD.replace('revision: 1\n', 'revision: 1e3\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'infinity',
      `${HEAD.replace('revision: 1\n', 'revision: .inf\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'an unsafe integer',
      `${HEAD.replace('revision: 1\n', 'revision: 9007199254740993\n')}${RULE}`,
      'revision: p.yaml:2:11: only plain decimal integers',
    ],
    [
      'a quoted revision',
      `${HEAD.replace('revision: 1\n', 'revision: "1"\n')}${RULE}`,
      'revision: p.yaml:2:11: must be a whole number from 1',
    ],
    ['no value', `${HEAD}rules:\n`, 'rules: p.yaml:3:7: must be a list of rules'],
    ['an unclosed list', `${HEAD}rules: [\n`, 'is not valid YAML'],
    ['a tab as indentation', `${HEAD}rules:\n\t- a\n`, 'is not valid YAML'],
    ['nothing', '', ': p.yaml:1:1: the document is empty'],
    ['only comments', '# none\n', ': p.yaml:1:1: the document is empty'],
    ['a list at the top', '- 1\n', ': p.yaml:1:1: must be a mapping, not a list'],
    ['a text at the top', 'policy\n', ': p.yaml:1:1: must be a mapping, not a text'],
  ])('refuses %s', (_, text, expected) => {
    expect(linesOf(text)).toContainEqual(expect.stringContaining(expected));
  });

  test('takes a star, an ampersand, an exclamation mark and a percent sign inside quotes and comments', () => {
    const text = `${HEAD}${RULE}    keys: { names: ["*"] } # *a &b !c\n`;
    expect(loadPolicy(text, 'p.yaml').document.rules[0]?.keys).toEqual({ names: ['*'] });
  });

  test('refuses more than 1 MiB before parsing', () => {
    const padding = '#'.repeat(1_048_576 - Buffer.byteLength(HEAD + RULE));
    expect(loadPolicy(HEAD + RULE + padding, 'p.yaml').revision).toBe(1);
    expect(linesOf(`${HEAD}${RULE}${padding}#`)).toEqual([
      ': p.yaml: is larger than 1 MiB; use lists and keyGroups to shorten it',
    ]);
    // In bytes, not in UTF-16 code units.
    expect(linesOf(`${HEAD}${RULE}#${'é'.repeat(524_288)}`)).toHaveLength(1);
  });

  test('refuses what would take long to parse, wherever it is', () => {
    const words = (count: number): string => `${HEAD}rules: [${'a,'.repeat(count)}]\n`;
    // Three lexemes for an item and its comma.
    expect(linesOf(words(66_000))[0]).toContain('rules[0]: p.yaml:3:9: must be a mapping');
    expect(linesOf(words(70_000))).toEqual([
      expect.stringMatching(/^: p\.yaml:3:\d+: has more than 200000 words, signs and spaces/),
    ]);
  });

  test('leaves errors their stacks', () => {
    const { stackTraceLimit } = Error;
    linesOf(`${HEAD}rules: [,]\n`);
    loadPolicy(HEAD + RULE, 'p.yaml');
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
    expect(stackTraceLimit).toBeGreaterThan(0);
  });

  test('cuts what is long in paths and messages', () => {
    const long = 'k'.repeat(1000);
    const [line = ''] = linesOf(`${HEAD}${long}: 1\n${RULE}`);
    expect(line).toMatch(/^\["k{80}…"\]: p\.yaml:3:1: `k{80}…` is not known here; /);
  });

  test.each([
    ['flow lists', '['.repeat(100_000)],
    ['flow mappings', '{a: '.repeat(100_000)],
    ['lists on one line', '- '.repeat(100_000)],
    ['explicit keys', '? '.repeat(100_000)],
    ['indentation', Array.from({ length: 1400 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
    ['65 levels', Array.from({ length: 66 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
  ])('refuses endless nesting of %s', (_, text) => {
    expect(linesOf(text).join('\n')).toContain('is nested more than 64 levels deep');
  });

  test('reports every problem at once, with file, line and column, and the count in the message', () => {
    const text = `apiVersion: v2
revision: 0
lists:
  bad: ["0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x12", 0x${'11'.repeat(20)}]
rules:
  - { id: Upper, effect: permit, operations: [transactions] }
`;
    const { message, lines } = refusal(() => loadPolicy(text, 'etc/policy.yaml'));
    expect(lines.map((line) => line.slice(0, line.indexOf(' ', line.indexOf('.yaml'))))).toEqual([
      'lists.bad[2]: etc/policy.yaml:4:63:',
      'apiVersion: etc/policy.yaml:1:13:',
      'revision: etc/policy.yaml:2:11:',
      'lists.bad[0]: etc/policy.yaml:4:9:',
      'lists.bad[1]: etc/policy.yaml:4:55:',
      'rules[0].id: etc/policy.yaml:6:11:',
      'rules[0].effect: etc/policy.yaml:6:26:',
      'rules[0].operations[0]: etc/policy.yaml:6:47:',
    ]);
    expect(lines.join('\n')).toContain('these digits are written 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed');
    expect(message).toMatch(
      /^the policy is not valid: etc\/policy\.yaml:4:63: lists\.bad\[2\]: .* \(and 7 more\)$/,
    );
  });

  test('stops counting at 100 problems', () => {
    const rules = Array.from({ length: 500 }, () => '  - {}\n').join('');
    expect(linesOf(`${HEAD}rules:\n${rules}`)).toHaveLength(100);
  });
});

describe('a policy as JSON', () => {
  test('is checked like YAML, without positions', () => {
    const { lines } = refusal(() =>
      compilePolicy(documentOf({ id: 'a', effect: 'deny', operations: ['*'] })),
    );
    expect(lines).toEqual([
      'rules[0].operations[0]: operations have no wildcard; name each: transaction, message, typed-data, authorization, digest, key.export',
    ]);
  });

  test.each([null, 1, 'text', [], true])('must be a mapping: %j', (value) => {
    expect(refusal(() => compilePolicy(value)).lines[0]).toContain('must be a mapping');
  });

  test('sees a __proto__ member', () => {
    const document = JSON.parse(
      '{"apiVersion":"countersign/policy/v1","revision":1,"rules":[],"__proto__":{"a":1}}',
    );
    expect(refusal(() => compilePolicy(document)).lines[0]).toContain('`__proto__` is not known here');
  });

  test('is copied: changing what was passed in changes nothing', () => {
    const document = documentOf({ id: 'a', effect: 'deny', operations: ['message'] });
    const policy = compilePolicy(document);
    (document['rules'] as unknown[]).length = 0;
    document['revision'] = 9;
    expect(policy.document.rules).toHaveLength(1);
    expect(JSON.parse(policy.json)).toEqual(policy.document);
  });
});
