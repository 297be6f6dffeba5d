import { createHash } from 'node:crypto';
import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { allocSecret } from './envelope.ts';

/**
 * The text of a share, as it is printed, kept and typed: `css1-`, then 72 characters of lower-case base32 (RFC 4648,
 * without padding) in twelve groups of six. They are 45 bytes:
 *
 *     set id (6) ‖ threshold (1) ‖ number (1) ‖ value (32) ‖ checksum (5)
 *
 * The checksum is the beginning of SHA-256 over what is before it: one mistyped share in 2^40 passes. Text and bytes are
 * Buffers here, never strings, so that they can be wiped.
 */
export interface SealShare {
  /** Of the shares that were made together: 6 random bytes, lower-case hex. */
  readonly set: string;
  readonly threshold: number;
  /** From 1. */
  readonly number: number;
  /** 32 bytes. */
  readonly value: Buffer;
}

export const SHARE_SET_BYTES = 6;
export const SHARE_VALUE_BYTES = 32;

const PREFIX = 'css1-';
const VALUE_AT = SHARE_SET_BYTES + 2;
const CHECKSUM_AT = VALUE_AT + SHARE_VALUE_BYTES;
const CHECKSUM_BYTES = 5;
const BYTES = CHECKSUM_AT + CHECKSUM_BYTES;
const CHARACTERS = (BYTES * 8) / 5;
const GROUP = 6;
/** Of the whole text, in characters. */
export const SHARE_TEXT_LENGTH = PREFIX.length + CHARACTERS + CHARACTERS / GROUP - 1;

const DASH = 0x2d;

/** The text in ASCII, in memory of its own; the caller wipes it. */
export function formatShare({ set, threshold, number, value }: SealShare): Buffer {
  const bytes = allocSecret(BYTES);
  bytes.write(set, 'hex');
  bytes.writeUInt8(threshold, SHARE_SET_BYTES);
  bytes.writeUInt8(number, SHARE_SET_BYTES + 1);
  bytes.set(value, VALUE_AT);
  bytes.set(checksumOf(bytes), CHECKSUM_AT);
  const text = allocSecret(SHARE_TEXT_LENGTH);
  text.write(PREFIX, 'ascii');
  let at = PREFIX.length;
  for (let index = 0; index < CHARACTERS; index += 1) {
    if (index > 0 && index % GROUP === 0) text[at++] = DASH;
    text[at++] = toCharacter(fiveBits(bytes, index));
  }
  wipe(bytes);
  return text;
}

/**
 * Reads the text of a share. The value is in memory of its own; the caller wipes it, and the text. Throws
 * `invalid_request` that names what is wrong with it and quotes none of it.
 */
export function parseShare(text: Uint8Array): SealShare {
  const given = asBuffer(text);
  if (given.subarray(0, PREFIX.length).toString('latin1') !== PREFIX) {
    throw refused(`is no share: one begins with ${PREFIX}, in lower case`);
  }
  if (given.length !== SHARE_TEXT_LENGTH) {
    throw refused(`has ${given.length} characters: a share has ${SHARE_TEXT_LENGTH}, with its dashes`);
  }
  const bytes = readBytes(given);
  try {
    if (bytes === undefined) {
      throw refused('has a character that no share has: dashes stand after every six, between a-z and 2-7');
    }
    if (!checksumOf(bytes).equals(bytes.subarray(CHECKSUM_AT))) {
      throw refused('does not match its checksum: something in it was mistyped');
    }
    const value = allocSecret(SHARE_VALUE_BYTES);
    value.set(bytes.subarray(VALUE_AT, CHECKSUM_AT));
    const share = {
      set: bytes.toString('hex', 0, SHARE_SET_BYTES),
      threshold: bytes.readUInt8(SHARE_SET_BYTES),
      number: bytes.readUInt8(SHARE_SET_BYTES + 1),
      value,
    };
    const again = formatShare(share);
    const same = again.equals(given);
    wipe(again);
    if (same && share.number > 0 && share.threshold > 1) return share;
    wipe(value);
    throw refused('is not written as shares are');
  } finally {
    wipe(bytes);
  }
}

/**
 * What the seal remembers of a share, 32 bytes: enough to tell whether it is one of its own. A value is 32 uniformly
 * random bytes, so that its hash leads nobody to it, nor, with a threshold less one at hand, to the secret.
 */
export function digestOfShare({ set, threshold, number, value }: SealShare): Buffer {
  const head = Buffer.from(`countersign share\n1\n${set}\n${threshold}\n${number}\n`);
  return createHash('sha256').update(head).update(value).digest();
}

function readBytes(text: Buffer): Buffer | undefined {
  const bytes = allocSecret(BYTES);
  let at = PREFIX.length;
  let wrong = 0;
  for (let index = 0; index < CHARACTERS; index += 1) {
    if (index > 0 && index % GROUP === 0) wrong |= (text[at++] ?? 0) ^ DASH;
    const value = fromCharacter(text[at++] ?? 0);
    wrong |= value & ~31;
    putFiveBits(bytes, index, value & 31);
  }
  if (wrong === 0) return bytes;
  wipe(bytes);
  return undefined;
}

function checksumOf(bytes: Buffer): Buffer {
  const hash = createHash('sha256').update(PREFIX, 'ascii').update(bytes.subarray(0, CHECKSUM_AT));
  return hash.digest().subarray(0, CHECKSUM_BYTES);
}

function fiveBits(bytes: Buffer, index: number): number {
  const bit = index * 5;
  const pair = ((bytes[bit >> 3] ?? 0) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
  return (pair >> (11 - (bit & 7))) & 31;
}

function putFiveBits(bytes: Buffer, index: number, value: number): void {
  const bit = index * 5;
  const pair = value << (11 - (bit & 7));
  const byte = bit >> 3;
  bytes[byte] = (bytes[byte] ?? 0) | (pair >> 8);
  if (byte + 1 < bytes.length) bytes[byte + 1] = (bytes[byte + 1] ?? 0) | (pair & 0xff);
}

/** 0 to 25 are a to z, 26 to 31 are 2 to 7. No table, no branch: what is written is secret. */
function toCharacter(value: number): number {
  return 0x61 + value - (73 & ((25 - value) >> 31));
}

/** From 0 to 31; another number for a character that is not in the alphabet. */
function fromCharacter(character: number): number {
  const letter = within(character, 0x61, 0x7a);
  const digit = within(character, 0x32, 0x37);
  return (letter & (character - 0x61)) | (digit & (character - 0x32 + 26)) | (~(letter | digit) & 32);
}

/** All ones where a number lies between two others, else 0. */
function within(number: number, low: number, high: number): number {
  return ~((number - low) >> 31) & ~((high - number) >> 31);
}

function refused(what: string): CountersignError {
  return new CountersignError('invalid_request', `the share ${what}`, [{ path: 'share', message: what }]);
}
