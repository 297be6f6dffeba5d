import { readFileSync } from 'node:fs';
import path from 'node:path';
import { openSecret } from '../../src/keystore/envelope.ts';
import { deriveKey } from '../../src/keystore/kdf.ts';
import { openWith } from '../../src/keystore/seal.ts';
import { openForReading } from '../../src/storage/sqlite/database.ts';
import { keyTables } from '../../src/storage/sqlite/keys.ts';
import { sealTables } from '../../src/storage/sqlite/system.ts';

/**
 * What must be in the signer process only, while it is unsealed; whoever opens it wipes it. A type and not an interface: it
 * is scanned by name.
 */
export type Opened = {
  /** Of version 1 of the first key. */
  readonly privateKey: Buffer;
  readonly kek: Buffer;
  readonly sealKey: Buffer;
  readonly logKey: Buffer;
};

/** Of a data directory with a file seal. */
export async function openSecrets(data: string): Promise<Opened> {
  const sealKey = readFileSync(path.join(data, 'seal.key'));
  const { db, close } = openForReading(data);
  try {
    const { config, keyring: sealed } = sealTables(db).seal()!;
    const keyring = await openWith(config, sealKey, sealed);
    const kekOf = (term: number): Buffer => keyring.kek(term);
    const keys = keyTables(db);
    const key = keys.keys()[0]!;
    const { version, address } = key.versions[0]!;
    const identity = { keyId: key.id, version, curve: 'secp256k1', address } as const;
    const log = sealTables(db).logKey()!;
    const logIdentity = { keyId: 'audit-log', version: 1, curve: 'ed25519', address: log.publicKey } as const;
    return {
      privateKey: openSecret(kekOf, identity, keys.sealedKey(key.id, version)),
      kek: keyring.kek(1),
      sealKey,
      logKey: openSecret(kekOf, logIdentity, log.sealed),
    };
  } finally {
    close();
  }
}

/** The key that the passphrase becomes, and the KEK that it opens. */
export async function openWrapped(
  data: string,
  passphrase: string,
): Promise<{ wrappingKey: Buffer; kek: Buffer }> {
  const { db, close } = openForReading(data);
  try {
    const { config, keyring } = sealTables(db).seal()!;
    if (config.type !== 'passphrase') throw new Error(`the seal is of type ${config.type}`);
    const opened = await openWith(config, Buffer.from(passphrase), keyring);
    return { wrappingKey: await deriveKey(Buffer.from(passphrase), config.kdf), kek: opened.kek(1) };
  } finally {
    close();
  }
}
