import { createCipheriv, createDecipheriv, randomBytes, type Decipheriv } from 'node:crypto';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';

const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const BLOCK_LENGTH = 16;
const MAX_TERM = 2 ** 32 - 1;
const NOTHING = Buffer.alloc(32);

/**
 * A sealed secret is this byte, the term as a big-endian u32, then {@link gcmSeal}'s output. The byte is authenticated: a
 * key that was sealed as one that stays can't be passed off as one that may leave.
 */
const FORMAT = { stays: 1, exportable: 2 } as const;
const HEADER_LENGTH = 5;

const KEY_ID = /^[\x21-\x7e]{1,128}$/;
const ADDRESS = { secp256k1: /^0x[0-9a-f]{40}$/, ed25519: /^0x[0-9a-f]{64}$/ } as const;

/**
 * What a sealed blob is bound to. All of it is authenticated when the blob is opened, so that one key's
 * ciphertext put in another's place does not open.
 */
export interface SealedIdentity {
  readonly keyId: string;
  readonly version: number;
  readonly curve: 'secp256k1' | 'ed25519';
  /** secp256k1: the Ethereum address, 20 bytes. ed25519: the public key, 32 bytes. Lower-case hex with `0x`. */
  readonly address: string;
}

/** What a sealed secret that is not a key is bound to: what it is for, and whose it is. */
export interface SealedPurpose {
  readonly purpose: 'totp';
  readonly owner: string;
}

/**
 * Seals `secret` under the key-encrypting key of `term`, bound to `identity`.
 * @param kek 32 bytes; good for 2^32 seals with random nonces (NIST SP 800-38D section 8.3)
 * @param exportable whether the signer process may ever give the secret out; said here, once
 */
export function sealSecret(
  kek: Uint8Array,
  term: number,
  identity: SealedIdentity | SealedPurpose,
  secret: Uint8Array,
  exportable = false,
): Buffer {
  if (secret.length === 0) throw new CountersignError('unprocessable', 'an empty secret is not sealed');
  const format = exportable ? FORMAT.exportable : FORMAT.stays;
  const aad = authenticatedData(format, term, identity);
  const header = Buffer.alloc(HEADER_LENGTH);
  header.writeUInt8(format, 0);
  header.writeUInt32BE(term, 1);
  return Buffer.concat([header, gcmSeal(kek, aad, secret)]);
}

/**
 * The secret of a blob from {@link sealSecret}, in memory of its own; the caller wipes it. A blob that was
 * altered, or sealed for another identity, is `unprocessable`.
 */
export function openSecret(
  kekOfTerm: (term: number) => Uint8Array,
  identity: SealedIdentity | SealedPurpose,
  blob: Uint8Array,
): Buffer {
  const format = blob[0] ?? FORMAT.stays;
  if (!isFormat(format)) {
    throw new CountersignError('unprocessable', `the sealed key has the unknown format ${format}`);
  }
  if (blob.length <= HEADER_LENGTH + NONCE_LENGTH + TAG_LENGTH) {
    throw new CountersignError('unprocessable', 'the sealed key is truncated');
  }
  const term = new DataView(blob.buffer, blob.byteOffset).getUint32(1);
  const aad = authenticatedData(format, term, identity);
  const secret = gcmOpen(kekOfTerm(term), aad, blob.subarray(HEADER_LENGTH));
  if (secret === undefined) {
    throw new CountersignError(
      'unprocessable',
      'the sealed key does not open: it was altered or belongs to another key',
    );
  }
  return secret;
}

/** The term that a blob from {@link sealSecret} is sealed under; `unprocessable` for what is none. */
export function termOf(blob: Uint8Array): number {
  if (!isFormat(blob[0]) || blob.length <= HEADER_LENGTH) {
    throw new CountersignError('unprocessable', 'the sealed key is truncated, or of an unknown format');
  }
  return new DataView(blob.buffer, blob.byteOffset).getUint32(1);
}

/** Whether the blob was sealed as exportable. Its word is good once it has opened. */
export function isExportable(blob: Uint8Array): boolean {
  return blob[0] === FORMAT.exportable;
}

function isFormat(byte: number | undefined): boolean {
  return byte === FORMAT.stays || byte === FORMAT.exportable;
}

/** One field a line; no field can hold a line break, so that two identities never share an encoding. */
function authenticatedData(format: number, term: number, identity: SealedIdentity | SealedPurpose): Buffer {
  if (!Number.isInteger(term) || term < 1 || term > MAX_TERM) throw invalidIdentity('term');
  if ('purpose' in identity) {
    const { purpose, owner } = identity;
    if (!KEY_ID.test(owner)) throw invalidIdentity('owner');
    return Buffer.from(['countersign sealed secret', format, purpose, owner, term].join('\n'));
  }
  const { keyId, version, curve, address } = identity;
  if (!KEY_ID.test(keyId)) throw invalidIdentity('key id');
  if (!Number.isSafeInteger(version) || version < 1) throw invalidIdentity('version');
  if (!Object.hasOwn(ADDRESS, curve)) throw invalidIdentity('curve');
  if (!ADDRESS[curve].test(address)) throw invalidIdentity('address');
  return Buffer.from(['countersign sealed key', format, keyId, version, term, curve, address].join('\n'));
}

function invalidIdentity(field: string): CountersignError {
  return new CountersignError('unprocessable', `a sealed key with this ${field} cannot exist`);
}

/** AES-256-GCM (NIST SP 800-38D) with a fresh random nonce: nonce (12 bytes), ciphertext, tag (16 bytes). */
export function gcmSeal(key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const nonce = randomBytes(NONCE_LENGTH);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]);
}

/** The plaintext of {@link gcmSeal}'s output, or `undefined` where key, data and tag do not belong together. */
export function gcmOpen(key: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer | undefined {
  if (sealed.length < NONCE_LENGTH + TAG_LENGTH) return undefined;
  const tagStart = sealed.length - TAG_LENGTH;
  const nonce = sealed.subarray(0, NONCE_LENGTH);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(tagStart));
  const plaintext = decryptUpdate(decipher, sealed.subarray(NONCE_LENGTH, tagStart));
  try {
    decipher.final();
    return plaintext;
  } catch {
    wipe(plaintext);
    return undefined;
  }
}

/**
 * Runs a stream-mode cipher over `ciphertext`; the caller calls `final`. In single blocks, because `update`
 * frees an internal copy of its output without wiping it: of one block, the allocator's own links overwrite
 * most; of a whole key they leave the second half.
 */
export function decryptUpdate(decipher: Decipheriv, ciphertext: Uint8Array): Buffer {
  const plaintext = allocSecret(ciphertext.length);
  updateBlocks(decipher, ciphertext, plaintext);
  // The last block is still in the memory that was freed last, and in vector registers, which may be saved to the
  // stack at any time later. The same work on nothing takes its place in both.
  const options = { authTagLength: TAG_LENGTH };
  const cover = createDecipheriv('aes-256-gcm', NOTHING, NOTHING.subarray(0, NONCE_LENGTH), options);
  cover.setAAD(NOTHING);
  updateBlocks(cover, NOTHING, allocSecret(NOTHING.length));
  return plaintext;
}

function updateBlocks(decipher: Decipheriv, input: Uint8Array, output: Buffer): void {
  for (let at = 0; at < input.length; at += BLOCK_LENGTH) {
    const block = decipher.update(input.subarray(at, at + BLOCK_LENGTH));
    output.set(block, at);
    wipe(block);
  }
}

/**
 * Zeroed memory for a secret, outside the JavaScript heap. `Buffer.alloc` and even `allocUnsafeSlow` keep up
 * to 64 bytes inside the heap, where the garbage collector moves them and leaves copies that no wipe reaches.
 */
export function allocSecret(length: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(length));
}
