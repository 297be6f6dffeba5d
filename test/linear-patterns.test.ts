import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { checkSync } from 'recheck';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

/**
 * Each regular expression of the program takes time linear in the text: recheck proves it.
 */

const SOURCE = path.resolve(import.meta.dirname, '../src');

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

/** Expressions that are put together, as they are written, and the widest that comes of each. */
const CONSTRUCTED: Readonly<Record<string, readonly (readonly [source: string, flags: string])[]>> = {
  'new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`)': [['^0x[0-9a-f]{130}$', '']],
  "new RegExp(`^${LABEL}(?:\\\\.${LABEL})*$`, 'i')": [[`^${LABEL}(?:\\.${LABEL})*$`, 'i']],
  // A literal of the same file, copied.
  'new RegExp(NAME)': [],
  'new RegExp(`^(?:0x)?(?:[0-9a-fA-F]{2}){${min},${max}}$`)': [['^(?:0x)?(?:[0-9a-fA-F]{2}){1,64}$', '']],
};

interface Found {
  readonly file: string;
  readonly source: string;
  readonly flags: string;
}

const literals: Found[] = [];
const constructed: { readonly file: string; readonly text: string }[] = [];

for (const file of readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })) {
  if (!file.endsWith('.ts')) continue;
  const code = stripTypeScriptTypes(readFileSync(path.join(SOURCE, file), 'utf8'));
  visit(parseAst(code), file, code);
}

function visit(node: unknown, file: string, code: string): void {
  if (typeof node !== 'object' || node === null) return;
  if ('regex' in node) {
    const { pattern, flags } = node.regex as { readonly pattern: string; readonly flags: string };
    literals.push({ file, source: pattern, flags });
    return;
  }
  const { type, callee, start, end } = node as {
    readonly [name in 'type' | 'callee' | 'start' | 'end']?: unknown;
  };
  const name = (callee as { readonly name?: unknown } | undefined)?.name;
  if ((type === 'NewExpression' || type === 'CallExpression') && name === 'RegExp') {
    constructed.push({ file, text: code.slice(start as number, end as number) });
  }
  for (const child of Object.values(node) as unknown[]) visit(child, file, code);
}

const explained = constructed.flatMap(({ file, text }) =>
  (CONSTRUCTED[text] ?? []).map(([source, flags]): Found => ({ file, source, flags })),
);

describe('regular expressions', () => {
  test('are found, and those that are put together are all known', () => {
    expect(literals.length).toBeGreaterThan(50);
    expect(constructed.map(({ text }) => text).toSorted()).toEqual(Object.keys(CONSTRUCTED).toSorted());
  });

  test('a backtracking one is told from a linear one', () => {
    expect(checkSync('^(a+)+$', '').status).toBe('vulnerable');
    expect(checkSync('^a+$', '').status).toBe('safe');
  });

  test.each([...literals, ...explained])('$source of $file is linear', ({ source, flags }) => {
    const found = checkSync(source, flags, { timeout: 20_000 });
    expect(found.status).toBe('safe');
    expect(found.status === 'safe' && found.complexity.type).toMatch(/^(?:safe|linear)$/);
  });
});
