import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

/** The tests that docs/reliability.md and SECURITY.md point to are there: `test/x.test.ts`: “title”, “another”. */

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

interface Pointer {
  readonly file: string;
  /** Each a part of the name of a test or of a group. */
  readonly titles: readonly string[];
}

const POINTER = /`(test\/[^`]+\.test\.ts)`(?:: (“[^”]+”(?:, “[^”]+”)*))?/g;

function pointersOf(text: string): readonly Pointer[] {
  return [...text.matchAll(POINTER)].map(([, file = '', titles = '']) => ({
    file,
    titles: [...titles.matchAll(/“([^”]+)”/g)].map(([, title = '']) => title),
  }));
}

/** Whether it stands in a string of the file; a comment names no test. */
function hasTitle(file: string, title: string): boolean {
  if (!existsSync(path.join(ROOT, file))) return false;
  return read(file)
    .split('\n')
    .some((line) => {
      const at = line.indexOf(title);
      return at > 0 && /['"`]/.test(line.slice(0, at)) && !/^\s*(?:\/\/|\/?\*)/.test(line);
    });
}

/** What is wrong with a cell that names tests; nothing where each is there. */
function faultsOf(cell: string): readonly string[] {
  const quoted = [...cell.matchAll(/“([^”]+)”/g)].length;
  const pointers = pointersOf(cell);
  const known = pointers.flatMap(({ file, titles }) => titles.map((title) => ({ file, title })));
  return [
    ...(known.length === quoted ? [] : ['a title stands behind no file']),
    ...pointers.filter(({ titles }) => titles.length === 0).map(({ file }) => `${file}: no title`),
    ...known
      .filter(({ file, title }) => !hasTitle(file, title))
      .map(({ file, title }) => `${file}: “${title}”`),
  ];
}

/** The cells of every row but the heads of the tables. */
function rowsOf(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  return lines
    .filter(
      (line, at) =>
        line.startsWith('| ') && !lines[at]!.startsWith('| -') && !lines[at + 1]?.startsWith('| -'),
    )
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
}

test('a title that is not there, is a comment only, or belongs to no file, is found', () => {
  const file = 'test/fault/kill.test.ts';
  expect(faultsOf(`\`${file}\`: “kill -9 during the first start”, “the next start completes it”`)).toEqual(
    [],
  );
  for (const wrong of ['no such title', 'A kill that never falls between commit and answer'])
    expect(faultsOf(`\`${file}\`: “${wrong}”`)).toEqual([`${file}: “${wrong}”`]);
  expect(faultsOf(`\`${file}\``)).toEqual([`${file}: no title`]);
  expect(faultsOf(`\`${file}\` “kill -9 during the first start”`)).toHaveLength(2);
  expect(faultsOf('`test/gone.test.ts`: “x”')).toEqual(['test/gone.test.ts: “x”']);
});

describe('docs/reliability.md', () => {
  const page = read('docs/reliability.md');
  const rows = rowsOf(page);

  test.each(rows)('%s: its tests are there, and it has a result', (_, must = '', tests = '', result = '') => {
    expect(must).not.toBe('');
    expect(result).not.toBe('');
    expect(tests).toMatch(/`test\//);
    // Targets of the fuzzer have no title.
    expect(faultsOf(tests)).toEqual([]);
    for (const [, file = ''] of tests.matchAll(/`(test\/fuzz\/targets\/[^`]+)`/g))
      expect(existsSync(path.join(ROOT, file)), file).toBe(true);
  });

  test('names every fault suite', () => {
    const named = new Set(pointersOf(rows.flat().join('\n')).map(({ file }) => file));
    const suites = readdirSync(path.join(ROOT, 'test/fault')).filter((file) => file.endsWith('.test.ts'));
    expect(suites.filter((file) => !named.has(`test/fault/${file}`))).toEqual([]);
  });
});

describe('SECURITY.md', () => {
  const [, table = ''] =
    /## Guarantees, and what holds each\n([\s\S]*?)\n## /.exec(read('SECURITY.md')) ?? [];
  const rows = rowsOf(table);

  test('has guarantees', () => {
    expect(rows.length).toBeGreaterThan(50);
  });

  test.each(rows)('%s: has tests that are there, or says why there is none', (_, holder = '') => {
    expect(faultsOf(holder)).toEqual([]);
    expect(pointersOf(holder).length > 0 || /read, not tested: ./.test(holder)).toBe(true);
  });
});
