import { hpkeSeal } from '../../src/keystore/hpke.ts';
import {
  encodeWrapped,
  wrappingInfo,
  type WrappedSecret,
  type WrappingContext,
} from '../../src/keystore/wrapped.ts';
import { must, type Client } from './running.ts';

/** What a client sends in place of a secret. */
export interface Sent {
  readonly wrappingKey: string;
  readonly enc: string;
  readonly ciphertext: string;
}

/** Encrypts a secret as the command line does, to a fresh wrapping key of the service. */
export async function wrap(
  client: Client,
  keyName: string,
  secret: WrappedSecret,
  change: Partial<WrappingContext> = {},
): Promise<Sent> {
  const { id, publicKey, origin } = must(await client.post('/v1/keys/import/wrapping-key', {})).body;
  const info = wrappingInfo({ purpose: 'import', origin, wrappingKey: id, keyName, ...change });
  const recipient = Buffer.from(publicKey.slice(2), 'hex');
  const { enc, ciphertext } = hpkeSeal(recipient, info, encodeWrapped(secret));
  return {
    wrappingKey: id,
    enc: `0x${enc.toString('hex')}`,
    ciphertext: `0x${ciphertext.toString('hex')}`,
  };
}
