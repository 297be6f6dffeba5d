import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { HASH_BYTES } from './merkle.ts';
import { parseNote } from './note.ts';

/** That an entry is in a log, to be checked without the log: https://c2sp.org/tlog-proof. */
export interface TlogProof {
  /** Of the entry, from 0. */
  readonly index: number;
  /** What an application adds; nothing vouches for it. Never empty. */
  readonly extra?: Buffer;
  /** Audit path, RFC 6962 §2.1.1: from the leaf's sibling to the root's child, 32 bytes each. */
  readonly path: readonly Buffer[];
  /** Signed note of the checkpoint whose tree the path leads to, as the log gave it, cosignatures included. */
  readonly checkpoint: string;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A note with all that it may hold, and as much again. */
const MAX_PROOF_BYTES = 2_000_000;
/** One for each level of a tree of 2^53 leaves. */
const MAX_PATH = 53;

/** @throws CountersignError `invalid_request` for what no proof can hold. */
export function formatProof({ index, extra, path, checkpoint }: TlogProof): string {
  if (!Number.isSafeInteger(index) || index < 0) throw malformed(`${index} is not the index of an entry`);
  if (extra?.length === 0) throw malformed('its extra data is empty');
  if (path.length > MAX_PATH) throw malformed(`its path is longer than ${MAX_PATH} hashes`);
  if (path.some((hash) => hash.length !== HASH_BYTES)) throw malformed('its path has a hash of not 32 bytes');
  parseCheckpoint(parseNote(checkpoint).text);
  const lines = [
    HEADER,
    ...(extra === undefined ? [] : [`extra ${extra.toString('base64')}`]),
    `index ${index}`,
    ...path.map((hash) => asBuffer(hash).toString('base64')),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/**
 * Parses strictly: what `formatProof` would not write byte for byte is refused. Nothing is verified here.
 * @throws CountersignError `invalid_request`
 */
export function parseProof(proof: Uint8Array | string): TlogProof {
  if (proof.length > MAX_PROOF_BYTES) throw malformed(`it is longer than ${MAX_PROOF_BYTES} bytes`);
  const text = typeof proof === 'string' ? proof : decodeUtf8(proof);
  const end = text.indexOf('\n\n');
  if (end === -1) throw malformed('no empty line and checkpoint at its end');
  const [header, ...lines] = text.slice(0, end).split('\n', MAX_PATH + 4);
  if (header !== HEADER) throw malformed(`it does not begin with the line ${HEADER}`);
  const extra = lines[0]?.startsWith('extra ') === true ? lines.shift()?.slice('extra '.length) : undefined;
  const index = /^index ([0-9]{1,16})$/.exec(lines.shift() ?? '')?.[1];
  if (index === undefined) throw malformed('it has no line with an index');
  const parsed: TlogProof = {
    index: Number(index),
    ...(extra !== undefined && { extra: Buffer.from(extra, 'base64') }),
    path: lines.map((line) => Buffer.from(line, 'base64')),
    checkpoint: text.slice(end + 2),
  };
  // Catches what the above lets pass: leading zeros, base64 with stray characters or bits.
  if (formatProof(parsed) !== text) throw malformed('it is not written as the specification demands');
  return parsed;
}

function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8');
  return asBuffer(bytes).toString('utf8');
}

function malformed(what: string): CountersignError {
  return new CountersignError('invalid_request', `not a tlog-proof: ${what}`);
}
