import type { Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { Operation } from '../intent/intent.ts';
import { splitSignature, type RecoverableSignature } from '../secp256k1.ts';
import type { SignatureChecker } from './checker/checker.ts';
import type { Custody } from './custody.ts';
import type { KeyMaterial } from './sealed-key.ts';
import type { SignerSupervisor } from './supervisor.ts';

/** A sealed key whose signatures can be checked. */
export interface SigningMaterial extends KeyMaterial {
  /** Uncompressed SEC 1 point; it hashes to the identity's address. */
  readonly publicKey: Hex;
}

export interface CheckedSignerParts {
  readonly custody: Pick<Custody, 'sign'>;
  readonly checker: Pick<SignatureChecker, 'requireReady' | 'check'>;
  readonly supervisor: Pick<SignerSupervisor, 'pid' | 'condemn'>;
}

/** Where signatures come from: made in one process, and each of them checked in another before anybody sees it. */
export class CheckedSigner {
  readonly #parts: CheckedSignerParts;

  constructor(parts: CheckedSignerParts) {
    this.#parts = parts;
  }

  /**
   * A signature of the key over the digest. Throws `unavailable` where it cannot be checked, and where it is wrong: then the signer
   * process is not asked again, and another one takes its place.
   *
   * @param digest of the preimage, as computed by whoever asks: what the signer process has hashed is not believed
   */
  async sign(
    key: SigningMaterial,
    operation: Operation,
    preimage: Uint8Array,
    digest: Hex,
  ): Promise<RecoverableSignature> {
    const { custody, checker, supervisor } = this.#parts;
    checker.requireReady();
    const { pid } = supervisor;
    const signature = await custody.sign(key, operation, preimage);
    if (await checker.check(digest, signature, key.publicKey)) return splitSignature(signature);
    supervisor.condemn(pid, 'it answered with a wrong signature');
    throw new CountersignError(
      'unavailable',
      'the signer process answered with a wrong signature, which was refused; the process is being replaced',
    );
  }
}
