import { hash } from 'node:crypto';

const CHECKSUM_LENGTH = 65;

/** SHA-256 of the text, hex, a space, the text: SQLite's pages have no checksums, and what is kept here may be a signature. */
export function checksummed(text: string): string {
  return `${hash('sha256', text)} ${text}`;
}

/** The text, or undefined where it is not what was written. */
export function readChecksummed(kept: string): string | undefined {
  const text = kept.slice(CHECKSUM_LENGTH);
  return checksummed(text) === kept ? text : undefined;
}
