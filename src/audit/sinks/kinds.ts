import { z } from 'zod';
import { ENTRY_KINDS, type EntryKind } from '../entry.ts';

/** `key.*` for the kinds that begin with `key.`, with the names of those kinds. */
const GROUPS: ReadonlyMap<string, readonly EntryKind[]> = Map.groupBy(
  ENTRY_KINDS.filter((kind) => kind.includes('.')),
  (kind) => `${kind.slice(0, kind.indexOf('.'))}.*`,
);

/** Some kinds of entries: names of kinds, and groups of them such as `key.*`. Gives the kinds that are meant, each once. */
export const kindsSchema = z
  .array(
    z.string().superRefine((pattern, context) => {
      if (kindsOf(pattern).length > 0) return;
      const message = `is not a kind of entry, nor a group of them such as key.*; the nearest is ${nearest(pattern)}`;
      context.addIssue({ code: 'custom', message });
    }),
  )
  .min(1)
  .max(64)
  .transform((patterns): readonly EntryKind[] => [...new Set(patterns.flatMap(kindsOf))]);

function kindsOf(pattern: string): readonly EntryKind[] {
  return GROUPS.get(pattern) ?? ENTRY_KINDS.filter((kind) => kind === pattern);
}

function nearest(pattern: string): string {
  const [first = ''] = [...GROUPS.keys(), ...ENTRY_KINDS]
    .map((name) => ({ name, distance: distance(pattern.slice(0, 64), name) }))
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ name }) => name);
  return first;
}

/** Levenshtein's: characters to be added, removed or replaced. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 0; i < from.length; i++) {
    const next = [i + 1];
    for (let j = 0; j < to.length; j++) {
      const replaced = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
