import { asBuffer } from '../../bytes.ts';
import type { Entry } from '../entry.ts';
import type { StoredEntry } from '../stored-entry.ts';

/** An entry as it is handed to the formats. */
export interface ReadEntry {
  readonly index: number;
  /** RFC 6962 leaf hash, hex. */
  readonly leafHash: string;
  /** RFC 8785 JSON, as hashed. */
  readonly text: string;
  readonly entry: Entry;
}

/** An entry in the words of another system. One line without its end; pure, and no secret that the entry has not. */
export type Projection = (read: ReadEntry) => string;

export function readEntry({ index, leafHash, bytes }: StoredEntry): ReadEntry {
  const text = asBuffer(bytes).toString('utf8');
  return { index, leafHash: asBuffer(leafHash).toString('hex'), text, entry: JSON.parse(text) as Entry };
}
