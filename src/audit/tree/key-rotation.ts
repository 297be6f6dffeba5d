import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { parseVkey } from './note.ts';

/** What the key of a log says last: how far the log is its own, and which key speaks for what follows. */
export interface KeyRotation {
  /** Number of entries that the old key speaks for; the entry of the rotation is the next one. */
  readonly size: number;
  /** RFC 6962 root of the tree over them, 32 bytes. */
  readonly root: Buffer;
  /** The verifier keys (C2SP signed-note), both with the log's origin as their name. */
  readonly oldVkey: string;
  readonly newVkey: string;
}

/**
 * The first line of a checkpoint is the name of its log, and there is no key that could sign one with white space in it.
 * So nothing is both.
 */
const HEADING = 'countersign audit log key rotation v1';
const MAX_BYTES = 4_096;

/**
 * The text of the signed note: heading, size, root in base64, old and new verifier key, one a line.
 * @throws CountersignError `internal` for what no rotation can hold.
 */
export function formatKeyRotation({ size, root, oldVkey, newVkey }: KeyRotation): string {
  if (!Number.isSafeInteger(size) || size < 0) throw new CountersignError('internal', `${size} is no size`);
  if (root.length !== HASH_BYTES) throw new CountersignError('internal', 'a root hash has 32 bytes');
  return `${HEADING}\n${size}\n${root.toString('base64')}\n${oldVkey}\n${newVkey}\n`;
}

/**
 * Parses strictly: what `formatKeyRotation` would not write is refused.
 * @throws CountersignError `invalid_request`
 */
export function parseKeyRotation(text: string): KeyRotation {
  const [heading, size, root, oldVkey, newVkey, end, ...more] = text.split('\n');
  if (heading !== HEADING || end !== '' || more.length > 0) throw malformed('it has not its five lines');
  const rotation = {
    size: Number(size),
    root: Buffer.from(root ?? '', 'base64'),
    oldVkey: oldVkey ?? '',
    newVkey: newVkey ?? '',
  };
  const { name } = parseVkey(rotation.oldVkey);
  if (parseVkey(rotation.newVkey).name !== name) throw malformed('its two keys are not of one log');
  if (rotation.oldVkey === rotation.newVkey) throw malformed('its two keys are one');
  if (!Number.isSafeInteger(rotation.size) || rotation.size < 0) throw malformed('its size is none');
  if (rotation.root.length !== HASH_BYTES) throw malformed('its root is not the base64 of 32 bytes');
  if (formatKeyRotation(rotation) !== text) throw malformed('it is not in canonical form');
  return rotation;
}

/**
 * For the process that holds the log's Ed25519 key: the rotation in a preimage, when it is one and nothing else.
 * @throws CountersignError `invalid_request`
 */
export function checkKeyRotationShape(preimage: Uint8Array): KeyRotation {
  if (preimage.length > MAX_BYTES) throw malformed('it is too long');
  if (!isUtf8(preimage)) throw malformed('it is not UTF-8');
  return parseKeyRotation(asBuffer(preimage).toString('utf8'));
}

function malformed(what: string): CountersignError {
  return new CountersignError('invalid_request', `not the rotation of a log's key: ${what}`);
}
