import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

const page = read('docs/reliability.md');
const named = [...page.matchAll(/`(test\/[^`]+\.test\.ts)`: “([^”]+)”/g)].map(([, file = '', name = '']) => ({
  file,
  name,
}));

describe('docs/reliability.md', () => {
  test.each(named)('$file has “$name”', ({ file, name }) => {
    expect(read(file)).toContain(name);
  });

  test('names every fault suite', () => {
    const suites = readdirSync(path.join(ROOT, 'test/fault')).filter((file) => file.endsWith('.test.ts'));
    const missing = suites.filter((file) => !named.some((each) => each.file === `test/fault/${file}`));
    expect(missing).toEqual([]);
  });
});

describe('SECURITY.md', () => {
  const security = read('SECURITY.md');
  const [, table = ''] = /## Guarantees, and what holds each\n([\s\S]*?)\n## /.exec(security) ?? [];
  const rows = table
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => line.split(' | '));

  test('has guarantees', () => {
    expect(rows.length).toBeGreaterThan(40);
  });

  test.each(rows)('%s: has a test, or says why there is none', (_, holder = '') => {
    const files = [...holder.matchAll(/`(test\/[^`]+)`/g)].map(([, file = '']) => file);
    expect(files.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
    expect(files.length > 0 || holder.includes('code review')).toBe(true);
  });
});
