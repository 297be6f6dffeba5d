import { z } from 'zod';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../jcs.ts';
import { deriveKey, kdfParamsSchema } from './kdf.ts';
import { openKeyring, sealKeyring, type Keyring } from './keyring.ts';

/**
 * What protects the root keyring while the service is down. `file`: a 32-byte key file beside the data, for
 * development. `passphrase`: a key derived from what an operator types. The secret itself is never stored.
 */
export const sealConfigSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('file') }),
  z.strictObject({ type: z.literal('passphrase'), kdf: kdfParamsSchema }),
]);
export type SealConfig = z.infer<typeof sealConfigSchema>;

export const SEAL_KEY_BYTES = 32;

/** Seals a keyring under the secret: the key file's bytes, or the passphrase in UTF-8. The caller wipes it. */
export async function sealWith(config: SealConfig, secret: Uint8Array, keyring: Keyring): Promise<Buffer> {
  return await withWrappingKey(config, secret, (key) => sealKeyring(keyring, key, contextOf(config)));
}

/** Throws `wrong_password` when the secret is not the one that sealed it. */
export async function openWith(config: SealConfig, secret: Uint8Array, sealed: Uint8Array): Promise<Keyring> {
  return await withWrappingKey(config, secret, (key) => openKeyring(sealed, key, contextOf(config)));
}

async function withWrappingKey<T>(
  config: SealConfig,
  secret: Uint8Array,
  use: (key: Buffer) => T,
): Promise<T> {
  const key = await wrappingKey(config, secret);
  try {
    return use(key);
  } finally {
    wipe(key);
  }
}

async function wrappingKey(config: SealConfig, secret: Uint8Array): Promise<Buffer> {
  if (config.type === 'passphrase') return await deriveKey(secret, config.kdf);
  if (secret.length !== SEAL_KEY_BYTES) {
    throw new CountersignError(
      'unprocessable',
      `a seal key file holds ${SEAL_KEY_BYTES} bytes, not ${secret.length}`,
    );
  }
  return Buffer.from(secret);
}

// Bound as associated data: a keyring put under other parameters does not open.
function contextOf(config: SealConfig): string {
  return canonicalize(config);
}
