import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { HPKE_SUITE, hpkeSeal } from '../keystore/hpke.ts';
import {
  encodeWrapped,
  wrappingInfo,
  type WrappedSecret,
  type WrappingContext,
} from '../keystore/wrapped.ts';
import type { ImportedKey } from './answers.ts';
import type { Client } from './client.ts';
import type { NewKeyFields } from './key-options.ts';

/** As the API takes it: bytes in hex. */
export interface WrappedFields {
  readonly wrappingKey: string;
  readonly enc: string;
  readonly ciphertext: string;
}

interface WrappingKeyAnswer {
  readonly id: string;
  readonly publicKey: string;
  readonly suite: string;
  readonly origin: string;
}

/** What the import of one key says beside its secret. */
export interface ImportRequest extends NewKeyFields {
  readonly name: string;
  readonly allowWellKnown: boolean;
}

/**
 * Encrypts a secret to a fresh key of the signer process, so that nothing on the way there reads it. The key comes over the
 * same connection as everything else: who it is from is what TLS says, and on one machine the loopback.
 *
 * @param secret whose Buffers are the caller's to wipe
 */
export async function wrapSecret(
  client: Client,
  purpose: WrappingContext['purpose'],
  keyName: string,
  secret: WrappedSecret,
): Promise<WrappedFields> {
  const { id, publicKey, suite, origin } = await client.post<WrappingKeyAnswer>(
    '/v1/keys/import/wrapping-key',
    {},
  );
  if (suite !== HPKE_SUITE) {
    throw new CountersignError(
      'unavailable',
      `the service encrypts by ${JSON.stringify(suite)}, which this program does not know: are they of one version?`,
    );
  }
  const info = wrappingInfo({ purpose, origin, wrappingKey: id, keyName });
  const plaintext = encodeWrapped(secret);
  try {
    const { enc, ciphertext } = hpkeSeal(Buffer.from(publicKey.slice(2), 'hex'), info, plaintext);
    return {
      wrappingKey: id,
      enc: `0x${enc.toString('hex')}`,
      ciphertext: `0x${ciphertext.toString('hex')}`,
    };
  } finally {
    wipe(plaintext);
  }
}

/** The secret is the caller's to wipe. */
export async function importKey(
  client: Client,
  { name, ...request }: ImportRequest,
  secret: WrappedSecret,
): Promise<ImportedKey> {
  const source = { type: 'wrapped', ...(await wrapSecret(client, 'import', name, secret)) };
  return await client.post<ImportedKey>('/v1/keys/import', { name, ...request, source });
}

export function wipeSecret(secret: WrappedSecret): void {
  if ('privateKey' in secret) wipe(secret.privateKey);
  if ('password' in secret) wipe(secret.password);
}
