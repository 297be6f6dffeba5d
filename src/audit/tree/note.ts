import { createPublicKey, hash, verify } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';

/** Signed notes and verifier keys, https://c2sp.org/signed-note, with Ed25519 signatures (type 0x01) only. */

export interface Signature {
  /** Name of the key: not empty, no white space, no plus sign. */
  readonly name: string;
  /** The 4 bytes that tell keys of one name apart; not a commitment to the key. */
  readonly keyHash: Buffer;
  /** As the key's algorithm makes it: 64 bytes from Ed25519, anything from the keys of others. */
  readonly signature: Buffer;
}

export interface Note {
  /** What is signed: ends in a newline. */
  readonly text: string;
  /** At least one. Not verified by parsing. */
  readonly signatures: readonly Signature[];
}

/** A parsed vkey. */
export interface VerifierKey {
  readonly name: string;
  readonly keyHash: Buffer;
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Buffer;
}

/** The specification asks for room for 16 signatures of up to 5 kB. */
const MAX_NOTE_BYTES = 1_000_000;
const MAX_SIGNATURES = 100;
const MAX_VKEY_LENGTH = 1_000;

/** Signature types, the first byte of what a vkey encodes; https://c2sp.org/signed-note. */
const ED25519 = 0x01;
const KEY_HASH_BYTES = 4;
const PUBLIC_KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;

const SIGNATURE_PREFIX = '\u2014 ';

/**
 * The note as bytes on the wire want it; UTF-8 when encoded.
 * @throws CountersignError `invalid_request` when text or signatures are not what a note may hold.
 */
export function formatNote(text: string, signatures: readonly Signature[]): string {
  checkText(text);
  if (signatures.length === 0) throw malformed('it has no signature');
  if (signatures.length > MAX_SIGNATURES) throw malformed(`it has more than ${MAX_SIGNATURES} signatures`);
  return `${text}\n${signatures.map(formatSignature).join('')}`;
}

/**
 * Parses strictly: what `formatNote` would not write byte for byte is refused. Signatures are not verified
 * here, so the text is not to be trusted yet.
 * @throws CountersignError `invalid_request`
 */
export function parseNote(note: Uint8Array | string): Note {
  if (note.length > MAX_NOTE_BYTES) throw malformed(`it is longer than ${MAX_NOTE_BYTES} bytes`);
  const whole = typeof note === 'string' ? note : decodeUtf8(note);
  // The last empty line separates: the text may hold empty lines of its own.
  const split = whole.lastIndexOf('\n\n');
  if (split === -1 || !whole.endsWith('\n')) throw malformed('no empty line and signatures at its end');
  const text = whole.slice(0, split + 1);
  const lines = whole.slice(split + 2).split('\n', MAX_SIGNATURES + 2);
  const parsed: Note = { text, signatures: lines.slice(0, -1).map(parseSignature) };
  if (formatNote(parsed.text, parsed.signatures) !== whole) throw malformed('it is not in canonical form');
  return parsed;
}

/** A signature line's parts, for a 64-byte Ed25519 signature over a note's text that was made elsewhere. */
export function noteSignature(name: string, publicKey: Uint8Array, signature: Uint8Array): Signature {
  if (signature.length !== SIGNATURE_BYTES) throw malformed('an Ed25519 signature has 64 bytes');
  return { name, keyHash: keyHash(name, publicKey), signature: Buffer.from(signature) };
}

/**
 * Verifier key: `<name>+<8 hex digits of the key hash>+<base64(0x01 ‖ public key)>`.
 * @throws CountersignError `invalid_request` for a bad name or a public key that has not 32 bytes.
 */
export function formatVkey(name: string, publicKey: Uint8Array): string {
  return formatVkeyOf(ED25519, name, publicKey);
}

/** @throws CountersignError `invalid_request`, also for keys of another type than 0x01. */
export function parseVkey(vkey: string): VerifierKey {
  return parseVkeyOf(ED25519, vkey);
}

/** As `formatVkey`, for a signature type of Ed25519 keys. */
function formatVkeyOf(type: number, name: string, publicKey: Uint8Array): string {
  const id = keyHash(name, publicKey, type).toString('hex');
  return `${name}+${id}+${encodeKey(publicKey, type).toString('base64')}`;
}

/** As `parseVkey`, for a signature type of Ed25519 keys. */
export function parseVkeyOf(type: number, vkey: string): VerifierKey {
  const [name, id, ...key] = vkey.length > MAX_VKEY_LENGTH ? [] : vkey.split('+');
  if (name === undefined || id === undefined || key.length === 0) {
    throw invalid('a verifier key has the form name+hash+key');
  }
  // Base64 has plus signs of its own.
  const encoded = Buffer.from(key.join('+'), 'base64');
  if (encoded[0] !== type || encoded.length !== 1 + PUBLIC_KEY_BYTES) {
    throw invalid(`the verifier key of ${JSON.stringify(name)} is not an Ed25519 key of type ${type}`);
  }
  const publicKey = encoded.subarray(1);
  if (formatVkeyOf(type, name, publicKey) !== vkey) {
    throw invalid(`the verifier key of ${JSON.stringify(name)} does not match its key hash`);
  }
  return { name, keyHash: keyHash(name, publicKey, type), publicKey };
}

/**
 * True when the note is signed by this key and every signature that claims to be by it is valid. Signatures
 * of other keys are ignored, as the specification demands, even when they share the name or the hash.
 * @throws CountersignError `invalid_request` for a malformed vkey.
 */
export function verifyNote(note: Note, vkey: string): boolean {
  const key = parseVkey(vkey);
  const own = signaturesOf(note, key);
  const text = Buffer.from(note.text, 'utf8');
  return own.length > 0 && own.every(({ signature }) => verifyEd25519(text, key.publicKey, signature));
}

/** The signature lines that claim to be by this key. */
export function signaturesOf({ signatures }: Note, { name, keyHash }: VerifierKey): Signature[] {
  return signatures.filter((s) => s.name === name && s.keyHash.equals(keyHash));
}

export function verifyEd25519(message: Uint8Array, publicKey: Buffer, signature: Uint8Array): boolean {
  const key = { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url') };
  return (
    signature.length === SIGNATURE_BYTES &&
    verify(null, message, createPublicKey({ format: 'jwk', key }), signature)
  );
}

/** True for what may name a key: not empty, no Unicode white space, no plus, no control character. */
export function isKeyName(name: string): boolean {
  return name.isWellFormed() && /^[^\p{White_Space}\p{Cc}+]+$/u.test(name);
}

/** First 4 bytes of SHA-256(name ‖ "\n" ‖ type ‖ public key). */
function keyHash(name: string, publicKey: Uint8Array, type = ED25519): Buffer {
  if (!isKeyName(name)) throw invalid('a key name is not empty and has no white space and no plus sign');
  const input = Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), encodeKey(publicKey, type)]);
  return hash('sha256', input, 'buffer').subarray(0, KEY_HASH_BYTES);
}

function encodeKey(publicKey: Uint8Array, type: number): Buffer {
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw invalid('an Ed25519 public key has 32 bytes');
  return Buffer.concat([Buffer.of(type), publicKey]);
}

function formatSignature({ name, keyHash, signature }: Signature): string {
  if (!isKeyName(name)) throw malformed('a signature has a bad key name');
  if (keyHash.length !== KEY_HASH_BYTES || signature.length === 0)
    throw malformed('a signature is too short');
  return `${SIGNATURE_PREFIX}${name} ${Buffer.concat([keyHash, signature]).toString('base64')}\n`;
}

function parseSignature(line: string): Signature {
  const [name, encoded, ...rest] = line.slice(SIGNATURE_PREFIX.length).split(' ');
  if (!line.startsWith(SIGNATURE_PREFIX) || name === undefined || encoded === undefined || rest.length > 0) {
    throw malformed('a signature line has not the form "\u2014 name base64"');
  }
  const bytes = Buffer.from(encoded, 'base64');
  return { name, keyHash: bytes.subarray(0, KEY_HASH_BYTES), signature: bytes.subarray(KEY_HASH_BYTES) };
}

function checkText(text: string): void {
  if (!text.endsWith('\n')) throw malformed('its text does not end in a newline');
  if (!text.isWellFormed() || /[^\P{Cc}\n\u007f-\u009f]/u.test(text)) {
    throw malformed('its text holds control characters');
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw malformed('it is not UTF-8');
  return asBuffer(bytes).toString('utf8');
}

function malformed(what: string): CountersignError {
  return invalid(`not a signed note: ${what}`);
}

function invalid(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
