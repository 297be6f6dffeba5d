import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { generateKeyring } from '../../src/keystore/keyring.ts';
import { isSignatureOf } from '../../src/secp256k1.ts';
import { SecretBlocks } from '../../src/signer/process/secrets.ts';
import { identityAddress, Vault } from '../../src/signer/process/vault.ts';

const ZERO = Buffer.alloc(32);

it('each place has its secret until it is forgotten, and is zero then, over many blocks', () => {
  const steps = fc.array(fc.record({ what: fc.constantFrom('put', 'put', 'forget'), which: fc.nat() }), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(fc.nat(5_000), steps, (before, commands) => {
      const blocks = new SecretBlocks();
      const held = new Map<number, Buffer>();
      const wrong: string[] = [];
      const put = (): void => {
        const secret = randomBytes(32);
        const place = blocks.put(secret);
        expect(held.has(place)).toBe(false);
        held.set(place, secret);
      };
      for (let n = 0; n < before; n++) put();
      for (const { what, which } of commands) {
        if (what === 'put' || held.size === 0) put();
        else {
          const place = [...held.keys()][which % held.size]!;
          const view = blocks.at(place);
          if (!view.equals(held.get(place)!)) wrong.push('another secret');
          blocks.forget(place);
          held.delete(place);
          if (!view.equals(ZERO)) wrong.push('left behind');
        }
      }
      expect(wrong).toEqual([]);
      const views = [...held.keys()].map((place) => blocks.at(place));
      expect(Buffer.concat(views).equals(Buffer.concat([...held.values()]))).toBe(true);
      blocks.wipe();
      held.clear();
      for (const view of views) expect(view.equals(ZERO)).toBe(true);
      expect(() => blocks.at(0)).toThrow(/no such place/);
      // What is put next has a place of its own again.
      put();
    }),
    { numRuns: 20 },
  );
});

it('takes nothing but 32 bytes', () => {
  expect(() => new SecretBlocks().put(Buffer.alloc(31))).toThrow(/32 bytes/);
});

it('a vault signs with the key that was asked for, whatever was loaded and unloaded before', () => {
  const vault = new Vault();
  vault.unseal(generateKeyring(), vault.epoch);
  const keys = Array.from({ length: 40 }, (_, n) => {
    const curve = n % 5 === 4 ? ('ed25519' as const) : ('secp256k1' as const);
    const pair = { keyId: `k${n}`, version: 1, curve, exportable: n % 2 === 0 };
    const { publicKey, sealed } = vault.generate(pair);
    const identity = { keyId: pair.keyId, version: 1, curve, address: identityAddress(curve, publicKey) };
    return { handle: n + 1, identity, exportable: pair.exportable, publicKey, sealed };
  });
  const load = ({ handle, identity, sealed }: (typeof keys)[number]): void =>
    vault.load(handle, identity, sealed);
  for (const key of keys) load(key);
  for (const key of keys.slice(10, 20)) vault.unload(key.handle);
  for (const key of keys.slice(10, 20).toReversed()) load(key);
  const [first, second] = keys;
  // Another key under a handle takes the place of the one that it had.
  vault.load(first!.handle, second!.identity, second!.sealed);
  load(first!);

  const digest = randomBytes(32);
  const [ed25519, secp256k1] = partition(keys, ({ identity }) => identity.curve === 'ed25519');
  for (const { handle, publicKey } of ed25519) {
    expect(vault.ed25519PublicKey(handle).equals(publicKey)).toBe(true);
    expect(() => vault.signDigest(handle, digest)).toThrow(/no such key/);
  }
  for (const { handle, publicKey } of secp256k1) {
    expect(isSignatureOf(publicKey, digest, vault.signDigest(handle, digest))).toBe(true);
    expect(() => vault.ed25519PublicKey(handle)).toThrow(/no such key/);
  }
  const [exportable, others] = partition(secp256k1, (key) => key.exportable);
  for (const { handle, publicKey } of exportable)
    expect(vault.copyForExport(handle).publicKey.equals(publicKey)).toBe(true);
  for (const { handle } of others) expect(() => vault.copyForExport(handle)).toThrow(/exported/);
  vault.unload(3);
  expect(() => vault.signDigest(3, digest)).toThrow(/no such key/);
  vault.wipe();
  expect(() => vault.signDigest(1, digest)).toThrow(/sealed/);
});

function partition<T>(all: readonly T[], is: (one: T) => boolean): readonly [T[], T[]] {
  return [all.filter(is), all.filter((one) => !is(one))];
}
