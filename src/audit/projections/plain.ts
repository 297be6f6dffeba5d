import type { ReadEntry } from './read-entry.ts';
import { oneLineJson } from './text.ts';

/**
 * `{"entry":…,"index":…,"leafHash":"…"}`: the entry itself. Its RFC 8785 form is what the leaf hash is of, so that
 * whoever has the line can check it.
 */
export function toPlain({ index, leafHash, text }: ReadEntry): string {
  return `{"entry":${oneLineJson(text)},"index":${index},"leafHash":"${leafHash}"}`;
}
