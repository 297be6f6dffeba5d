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
