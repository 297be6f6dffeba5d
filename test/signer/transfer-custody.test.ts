import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hpkeSeal } from '../../src/keystore/hpke.ts';
import { encodeWrapped, wrappingInfo, type WrappedSecret } from '../../src/keystore/wrapped.ts';
import { openKeystore, parseKeystore } from '../../src/keystore/web3-keystore.ts';
import { addressOf, publicKeyOf } from '../../src/secp256k1.ts';
import { Custody } from '../../src/signer/custody.ts';
import type { KeyMaterial } from '../../src/signer/sealed-key.ts';
import { SealCustody } from '../../src/signer/seal-custody.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';
import { TransferCustody, type Wrapped } from '../../src/signer/transfer-custody.ts';

/** With a real signer process. */

const PASSWORD = 'correct horse battery';
const KDF = { kdf: 'pbkdf2' } as const;
let supervisor: SignerSupervisor;
let custody: Custody;
let transfer: TransferCustody;
const sealKey = randomBytes(32);
let keyring: Uint8Array;
let keys = 0;

beforeAll(async () => {
  supervisor = new SignerSupervisor({ onReady: () => undefined, onLost: () => custody.lose() });
  custody = new Custody(supervisor);
  transfer = new TransferCustody(custody);
  await supervisor.start();
  ({ sealed: keyring } = await custody.createKeyring({ type: 'file' }, Buffer.from(sealKey)));
});
afterAll(async () => {
  supervisor.retire();
  await supervisor.stop();
});

const newKey = (exportable: boolean) =>
  ({ keyId: `key-${keys++}`, version: 1, curve: 'secp256k1', exportable }) as const;

async function wrap(secret: WrappedSecret, purpose: 'import' | 'export', keyName = 'k'): Promise<Wrapped> {
  const { id, publicKey } = await transfer.newWrappingKey();
  const context = { purpose, origin: 'o', wrappingKey: id, keyName };
  return {
    ...hpkeSeal(publicKey, wrappingInfo(context), encodeWrapped(secret)),
    origin: 'o',
    wrappingKey: id,
    keyName,
  };
}

/** A key that is known here, too. */
async function imported(exportable: boolean): Promise<{ privateKey: Buffer; material: KeyMaterial }> {
  const privateKey = randomBytes(32);
  const key = newKey(exportable);
  const secret = { form: 'private-key', privateKey } as const;
  const { address, sealed } = await transfer.importWrapped(key, await wrap(secret, 'import'));
  expect(address).toBe(addressOf(publicKeyOf(privateKey)));
  const { exportable: _, ...identity } = key;
  return { privateKey, material: { identity: { ...identity, address }, sealed } };
}

it('an exportable key leaves as a file that opens with the password', async () => {
  const { privateKey, material } = await imported(true);
  for (const password of [
    Buffer.from(PASSWORD),
    await wrap({ form: 'password', password: Buffer.from(PASSWORD) }, 'export'),
  ]) {
    const file: unknown = JSON.parse((await transfer.exportKeystore(material, KDF, password)).toString());
    expect(await openKeystore(parseKeystore(file), Buffer.from(PASSWORD))).toEqual(privateKey);
  }
});

it('a key that was not sealed as exportable does not leave, whatever the API process says', async () => {
  const { material } = await imported(false);
  const refused = { code: 'forbidden' };
  await expect(transfer.exportKeystore(material, KDF, Buffer.from(PASSWORD))).rejects.toMatchObject(refused);
  const passedOff = Buffer.from(material.sealed);
  passedOff[0] = 2;
  const forged = transfer.exportKeystore({ ...material, sealed: passedOff }, KDF, Buffer.from(PASSWORD));
  await expect(forged).rejects.toMatchObject({ code: 'unprocessable' });
});

it('a key keeps its mark when it is sealed under a new term', async () => {
  const { privateKey, material } = await imported(true);
  const seals = new SealCustody(custody);
  await seals.prepareTerm();
  await seals.useTerm();
  const [made] = await seals.rewrap([material]);
  if (made === undefined || !('sealed' in made)) throw new Error('it was not rewrapped');
  expect(Buffer.from(made.sealed).equals(material.sealed)).toBe(false);
  await custody.unload(material.identity);
  const again = { ...material, sealed: made.sealed };
  const file: unknown = JSON.parse(
    (await transfer.exportKeystore(again, KDF, Buffer.from(PASSWORD))).toString(),
  );
  expect(await openKeystore(parseKeystore(file), Buffer.from(PASSWORD))).toEqual(privateKey);
});

it('a short password protects nothing, and what is no password is none', async () => {
  const { material } = await imported(true);
  const invalid = { code: 'invalid_request' };
  const short = await wrap({ form: 'password', password: Buffer.from('short') }, 'export');
  await expect(transfer.exportKeystore(material, KDF, short)).rejects.toMatchObject(invalid);
  const key = await wrap({ form: 'private-key', privateKey: randomBytes(32) }, 'export');
  await expect(transfer.exportKeystore(material, KDF, key)).rejects.toMatchObject(invalid);
});

it('passwords and keys that come in clear are wiped', async () => {
  const password = Buffer.from(PASSWORD);
  const { material } = await imported(true);
  await transfer.exportKeystore(material, KDF, password);
  const privateKey = randomBytes(32);
  await transfer.importPrivateKey(newKey(false), privateKey);
  for (const secret of [password, privateKey]) expect(secret.every((byte) => byte === 0)).toBe(true);
});

it('an export that a seal overtakes gives nothing', async () => {
  const { material } = await imported(true);
  const kdf = { kdf: 'pbkdf2', c: 2_000_000 } as const;
  const leaving = Promise.allSettled([transfer.exportKeystore(material, kdf, Buffer.from(PASSWORD))]);
  await custody.seal();
  expect(await leaving).toMatchObject([{ status: 'rejected', reason: { code: 'sealed' } }]);
  await custody.unseal({ type: 'file' }, Buffer.from(sealKey), keyring);
});

it('an export that a seal overtakes gives nothing, also where the service is opened again at once', async () => {
  const { material } = await imported(true);
  const kdf = { kdf: 'pbkdf2', c: 2_000_000 } as const;
  const leaving = Promise.allSettled([transfer.exportKeystore(material, kdf, Buffer.from(PASSWORD))]);
  await custody.seal();
  await custody.unseal({ type: 'file' }, Buffer.from(sealKey), keyring);
  expect(await leaving).toMatchObject([{ status: 'rejected', reason: { code: 'sealed' } }]);
});
