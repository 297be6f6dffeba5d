import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { KeyReads } from '../keystore/keys.ts';
import { compilePolicy, type PolicyReads } from '../policy/policy.ts';
import { Custody } from '../signer/custody.ts';
import type { KeyMaterial } from '../signer/sealed-key.ts';
import { REQUEST } from '../signer/link.ts';
import { logKeyName, type LogKeyReads } from '../signer/log-key.ts';
import type { SealReads } from '../signer/seal.ts';
import { SignerSupervisor } from '../signer/supervisor.ts';

/** A restored directory as a service would open it. */
export interface RestoredStorage {
  readonly reads: KeyReads & PolicyReads & SealReads & LogKeyReads;
}

export interface Rehearsal {
  readonly keys: number;
  readonly versions: number;
  /** Revision of the policy that would be in force; null where there is none. */
  readonly policyRevision: number | null;
  /** Versions whose private key was opened and gave the address that it is stored under; absent without a secret. */
  readonly opened?: number;
}

/**
 * Does what a start does with a directory, short of listening: loads the policy, and with the secret of the seal opens it
 * in a signer process, and in there every private key, whose address is derived anew and compared. Nothing is written or
 * signed. Throws what would keep the service from signing.
 *
 * @param secret of the seal: bytes of the key file, or the passphrase. It is wiped.
 */
export async function rehearse(
  { reads }: RestoredStorage,
  secret?: Buffer,
  onProgress?: (done: number, total: number) => void,
): Promise<Rehearsal> {
  const stored = reads.newestPolicy();
  if (stored !== undefined) {
    const { hash } = compilePolicy(JSON.parse(stored.document) as JsonValue);
    if (hash !== stored.hash)
      throw new CountersignError(
        'unprocessable',
        'the stored policy has not the hash that it was stored with',
      );
  }
  const keys = reads.keys();
  const versions = keys.flatMap((key) => key.versions.map((version) => ({ key, version })));
  const found = { keys: keys.length, versions: versions.length, policyRevision: stored?.revision ?? null };
  if (secret === undefined) return found;

  // What is destroyed has nothing left to open.
  const alive = versions.filter(({ version }) => version.state !== 'destroyed');
  const materials: KeyMaterial[] = alive.map(({ key, version: { version, address } }) => ({
    identity: { keyId: key.id, version, curve: 'secp256k1', address },
    sealed: reads.sealedKey(key.id, version),
  }));
  const logKey = reads.logKey();
  if (logKey !== undefined) {
    const identity = { ...logKeyName(logKey.version), address: logKey.publicKey };
    materials.push({ identity, sealed: logKey.sealed });
  }
  await openAll(reads, secret, materials, onProgress);
  return { ...found, opened: alive.length };
}

async function openAll(
  reads: SealReads,
  secret: Buffer,
  materials: readonly KeyMaterial[],
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const seal = reads.seal();
  if (seal === undefined) throw new CountersignError('unprocessable', 'there is no seal to open');
  if (seal.config.type === 'shamir') {
    const message =
      'the seal is in shares, which are not tried here: restore into a directory, start on it, and unseal';
    throw new CountersignError('invalid_request', message);
  }
  const signer = new SignerSupervisor({ onReady: () => undefined, onLost: () => undefined });
  try {
    await signer.start();
    await new Custody(signer).unseal(seal.config, secret, seal.keyring);
    const handle = Buffer.alloc(4);
    for (const [index, { identity, sealed }] of materials.entries()) {
      handle.writeUInt32BE(1);
      const about = Buffer.from(JSON.stringify(identity));
      await signer.request(REQUEST.load, [handle, about, sealed]);
      await signer.request(REQUEST.unload, [handle]);
      onProgress?.(index + 1, materials.length);
    }
  } finally {
    secret.fill(0);
    await signer.stop();
  }
}
