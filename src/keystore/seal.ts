import { randomBytes, randomFillSync } from 'node:crypto';
import { z } from 'zod';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { canonicalize } from '../jcs.ts';
import { allocSecret } from './envelope.ts';
import { deriveKey, kdfParamsSchema } from './kdf.ts';
import { openKeyring, sealKeyring, type Keyring } from './keyring.ts';
import { MAX_SHARES, splitSecret } from './shamir.ts';
import { digestOfShare, formatShare, SHARE_SET_BYTES } from './share.ts';

/** How many shares there are, and how many of them open. */
export const shamirSchema = z.strictObject({
  type: z.literal('shamir'),
  shares: z.int().min(2).max(MAX_SHARES),
  threshold: z.int().min(2).max(MAX_SHARES),
});

const fileSchema = z.strictObject({ type: z.literal('file') });
const passphraseSchema = z.strictObject({ type: z.literal('passphrase'), kdf: kdfParamsSchema });
const sharedSchema = shamirSchema.extend({
  /** Of the shares that were made together: 6 random bytes, lower-case hex. */
  set: z.string().regex(/^[0-9a-f]{12}$/),
  /** SHA-256 of each share (`digestOfShare`), in the order of their numbers, lower-case hex. */
  digests: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});

/**
 * What protects the root keyring while the service is down. `file`: a 32-byte key file beside the data, for
 * development. `passphrase`: a key derived from what an operator types. `shamir`: a random key that is split into shares,
 * of which a threshold gives it back. The secret itself is never stored.
 */
export const sealConfigSchema = z.discriminatedUnion('type', [fileSchema, passphraseSchema, sharedSchema]);
export type SealConfig = z.infer<typeof sealConfigSchema>;
export type SharedSealConfig = z.infer<typeof sharedSchema>;

/** What a new seal is to be. */
export const newSealSchema = z.discriminatedUnion('type', [fileSchema, passphraseSchema, shamirSchema]);
export type NewSeal = z.infer<typeof newSealSchema>;

export const SEAL_KEY_BYTES = 32;

/** A seal, and the 32 bytes that it stands for: what opens the keyring, and seals it again when it changes. */
export interface OpenSeal {
  readonly config: SealConfig;
  /** Whoever holds it wipes it. */
  readonly key: Buffer;
}

/**
 * @param secret of the seals that have one from outside: the key file's bytes, or the passphrase in UTF-8. The caller wipes it.
 * @returns the seal, and of one in shares their texts (share.ts), which exist nowhere else. The caller wipes all of it.
 */
export async function makeSeal(
  choice: NewSeal,
  secret: Uint8Array,
): Promise<{ readonly seal: OpenSeal; readonly shares: readonly Buffer[] }> {
  if (choice.type !== 'shamir') return { seal: await openSeal(choice, secret), shares: [] };
  const { shares: count, threshold } = choice;
  const key = randomFillSync(allocSecret(SEAL_KEY_BYTES));
  const values = splitSecret(key, count, threshold);
  try {
    const set = randomBytes(SHARE_SET_BYTES).toString('hex');
    const shares = values.map((value, index) => ({ set, threshold, number: index + 1, value }));
    const digests = shares.map((share) => digestOfShare(share).toString('hex'));
    return { seal: { config: { ...choice, set, digests }, key }, shares: shares.map(formatShare) };
  } finally {
    wipe(...values);
  }
}

/**
 * @param secret the key file's bytes, the passphrase in UTF-8, or what the shares give. The caller wipes it, and the seal.
 * The right one or not: that shows when it is to open something.
 */
export async function openSeal(config: SealConfig, secret: Uint8Array): Promise<OpenSeal> {
  if (config.type === 'passphrase') return { config, key: await deriveKey(secret, config.kdf) };
  if (secret.length !== SEAL_KEY_BYTES) {
    throw new CountersignError(
      'unprocessable',
      `a seal key file holds ${SEAL_KEY_BYTES} bytes, not ${secret.length}`,
    );
  }
  const key = allocSecret(SEAL_KEY_BYTES);
  key.set(secret);
  return { config, key };
}

/** Seals a keyring. */
export function sealUnder({ config, key }: OpenSeal, keyring: Keyring): Buffer {
  return sealKeyring(keyring, key, contextOf(config));
}

/** Throws `wrong_password` when the seal is not the one that sealed it. */
export function openUnder({ config, key }: OpenSeal, sealed: Uint8Array): Keyring {
  return openKeyring(sealed, key, contextOf(config));
}

/** The keyring alone, for whoever has a copy of the data and the secret. Throws `wrong_password`. */
export async function openWith(config: SealConfig, secret: Uint8Array, sealed: Uint8Array): Promise<Keyring> {
  const seal = await openSeal(config, secret);
  try {
    return openUnder(seal, sealed);
  } finally {
    wipe(seal.key);
  }
}

// Bound as associated data: a keyring put under other parameters does not open.
function contextOf(config: SealConfig): string {
  return canonicalize(config);
}
