import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { isKeyName } from './note.ts';

/** The text of a log's signed tree head, https://c2sp.org/tlog-checkpoint. */
export interface Checkpoint {
  /** The log's identity; for our own logs the name of the key that signs. */
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  /** RFC 6962 root of the first `size` entries, 32 bytes. */
  readonly root: Buffer;
}

/** Longer than a checkpoint of ours can be, for a bound before any work. */
const MAX_CHECKPOINT_BYTES = 4_096;

/**
 * Origin, size and root, one a line; no extension lines.
 * @throws CountersignError `internal` for what no checkpoint can hold.
 */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (!isLine(origin)) throw new CountersignError('internal', 'a checkpoint origin is one line of text');
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new CountersignError('internal', `${size} is not a tree size`);
  }
  if (root.length !== HASH_BYTES) throw new CountersignError('internal', 'a root hash has 32 bytes');
  return `${origin}\n${size}\n${asBuffer(root).toString('base64')}\n`;
}

/**
 * Parses strictly: a size without leading zeros up to 2^53 - 1, canonical base64 of 32 bytes. Extension
 * lines are allowed, opaque and dropped: a note's signature covers the text they are in.
 * @throws CountersignError `invalid_request`
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin, size, root, ...rest] = text.split('\n');
  if (origin === undefined || size === undefined || root === undefined || rest.pop() !== '') {
    throw malformed('it has fewer than three lines');
  }
  if (!isLine(origin)) throw malformed('its origin is empty or holds control characters');
  if (!/^(?:0|[1-9]\d{0,15})$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw malformed('its size is not a decimal number without leading zeros');
  }
  const hash = Buffer.from(root, 'base64');
  if (hash.length !== HASH_BYTES || hash.toString('base64') !== root) {
    throw malformed('its root hash is not the base64 of 32 bytes');
  }
  if (!rest.every(isLine)) throw malformed('an extension line is empty or holds control characters');
  return { origin, size: Number(size), root: hash };
}

/**
 * For the process that holds the log's Ed25519 key: the checkpoint in a preimage, when the preimage is one
 * and nothing but one, so that the key can sign nothing else. Extension lines are refused.
 * @throws CountersignError `invalid_request`
 */
export function checkCheckpointShape(preimage: Uint8Array): Checkpoint {
  if (preimage.length > MAX_CHECKPOINT_BYTES) throw malformed('it is too long');
  if (!isUtf8(preimage)) throw malformed('it is not UTF-8');
  const text = asBuffer(preimage).toString('utf8');
  const checkpoint = parseCheckpoint(text);
  if (!isKeyName(checkpoint.origin)) throw malformed('its origin has white space or a plus sign');
  if (formatCheckpoint(checkpoint) !== text) throw malformed('it has extension lines');
  return checkpoint;
}

/** One non-empty line without control characters below U+0020, as signed notes demand. */
function isLine(line: string): boolean {
  return line.isWellFormed() && /^(?:\P{Cc}|[\u007f-\u009f])+$/u.test(line);
}

function malformed(what: string): CountersignError {
  return new CountersignError('invalid_request', `not a checkpoint: ${what}`);
}
