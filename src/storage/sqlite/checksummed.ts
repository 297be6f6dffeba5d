import { hash } from 'node:crypto';
import { CountersignError } from '../../errors.ts';

const CHECKSUM_LENGTH = 65;

/** SHA-256 of the text, hex, a space, the text: SQLite's pages have no checksums, and what is kept here may be a signature. */
export function checksummed(text: string): string {
  return `${hash('sha256', text)} ${text}`;
}

/** The text. Throws `internal` where it is not what was written. */
export function readChecksummed(kept: string, what: string): string {
  const text = kept.slice(CHECKSUM_LENGTH);
  if (checksummed(text) !== kept) throw new CountersignError('internal', `${what} was changed on disk`);
  return text;
}
