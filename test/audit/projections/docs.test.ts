import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { KIND_VIEWS } from '../../../src/audit/projections/kinds.ts';

it('docs/audit-formats.md has the view of every kind', () => {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../../docs/audit-formats.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z_.]+)` *\| (.+?) *\| ([a-z]+) *\| ([1-5]) *\| ([1-5]) *\|$/gm)];
  const documented = Object.fromEntries(
    rows.map(([, kind, name, activity, done, otherwise]) => [
      kind,
      { name, activity, done: Number(done), otherwise: Number(otherwise) },
    ]),
  );
  expect(documented).toEqual(KIND_VIEWS);
});
