import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { allocSecret } from './envelope.ts';

/*
 * What a client encrypts to a wrapping key, so that the secret is in clear in the signer process only:
 *
 *     u8 form ‖ form 1: private key, 32 bytes
 *               form 2: password field ‖ a V3 keystore, JSON in UTF-8
 *               form 3: password field
 *     password field: u16 length ‖ the password in UTF-8 ‖ zeros, 1,026 bytes in all
 *
 * The length of a password shows in no ciphertext.
 */

/** How long a wrapping key waits to be used, in milliseconds. */
export const WRAPPING_KEY_LIFE_MS = 10 * 60 * 1000;

/** The most bytes of a password. */
export const MAX_PASSWORD_BYTES = 1024;
/** The fewest of one that protects a file: whoever finds that can try passwords as fast as he likes. */
export const MIN_EXPORT_PASSWORD_BYTES = 12;
const PASSWORD_FIELD_BYTES = 2 + MAX_PASSWORD_BYTES;
const PRIVATE_KEY_BYTES = 32;
const FORM = { privateKey: 1, keystore: 2, password: 3 } as const;

/** Members are views of one memory, which the holder wipes, or the holder's own. */
export type WrappedSecret =
  | { readonly form: 'private-key'; readonly privateKey: Uint8Array }
  | { readonly form: 'keystore'; readonly keystore: Uint8Array; readonly password: Uint8Array }
  | { readonly form: 'password'; readonly password: Uint8Array };

/** What a ciphertext is good for, and for nothing else. */
export interface WrappingContext {
  readonly purpose: 'import' | 'export';
  /** Of the service, as `GET /v1/sys/status` says it. */
  readonly origin: string;
  /** Id of the wrapping key. */
  readonly wrappingKey: string;
  /** Name of the key that is imported or exported. */
  readonly keyName: string;
}

/** HPKE's `info`: one field a line. No field can hold a line break, so that no two contexts share a text. */
export function wrappingInfo({ purpose, origin, wrappingKey, keyName }: WrappingContext): Buffer {
  const fields = ['countersign wrapped secret 1', purpose, origin, wrappingKey, keyName];
  if (fields.some((field) => /[\r\n]/.test(field)))
    throw new CountersignError('invalid_request', 'a name or an origin cannot hold a line break');
  return Buffer.from(fields.join('\n'), 'utf8');
}

/** The plaintext, in memory of its own; the caller wipes it. Throws `invalid_request` for what has no place in it. */
export function encodeWrapped(secret: WrappedSecret): Buffer {
  switch (secret.form) {
    case 'private-key':
      if (secret.privateKey.length !== PRIVATE_KEY_BYTES) throw malformed();
      return concat([Buffer.from([FORM.privateKey]), secret.privateKey]);
    case 'keystore':
      return withField(FORM.keystore, secret.password, secret.keystore);
    case 'password':
    default:
      return withField(FORM.password, secret.password, new Uint8Array());
  }
}

/** Views of `plaintext`. Throws `invalid_request` for bytes that `encodeWrapped` did not write. */
export function decodeWrapped(plaintext: Uint8Array): WrappedSecret {
  const rest = plaintext.subarray(1);
  switch (plaintext[0] ?? -1) {
    case FORM.privateKey:
      if (rest.length !== PRIVATE_KEY_BYTES) throw malformed();
      return { form: 'private-key', privateKey: rest };
    case FORM.keystore:
      return {
        form: 'keystore',
        password: passwordOf(rest),
        keystore: rest.subarray(PASSWORD_FIELD_BYTES),
      };
    case FORM.password:
      if (rest.length !== PASSWORD_FIELD_BYTES) throw malformed();
      return { form: 'password', password: passwordOf(rest) };
    default:
      throw malformed();
  }
}

function withField(form: number, password: Uint8Array, rest: Uint8Array): Buffer {
  if (password.length > MAX_PASSWORD_BYTES) {
    throw new CountersignError('invalid_request', `a password has at most ${MAX_PASSWORD_BYTES} bytes`);
  }
  const field = allocSecret(PASSWORD_FIELD_BYTES);
  field.writeUInt16BE(password.length);
  field.set(password, 2);
  try {
    return concat([Buffer.from([form]), field, rest]);
  } finally {
    wipe(field);
  }
}

function passwordOf(rest: Uint8Array): Uint8Array {
  if (rest.length < PASSWORD_FIELD_BYTES) throw malformed();
  const length = new DataView(rest.buffer, rest.byteOffset).getUint16(0);
  const padding = rest.subarray(2 + length, PASSWORD_FIELD_BYTES);
  if (length > MAX_PASSWORD_BYTES || padding.some((byte) => byte !== 0)) throw malformed();
  return rest.subarray(2, 2 + length);
}

function concat(parts: readonly Uint8Array[]): Buffer {
  const whole = allocSecret(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function malformed(): CountersignError {
  return new CountersignError(
    'invalid_request',
    'the encrypted secret opens, but is not in the form that is documented',
  );
}
