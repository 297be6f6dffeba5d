import { Signature, Transaction as EthersTransaction, type TransactionLike } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes.ts';
import type { Transaction } from '../../src/intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../../src/intent/preimage.ts';
import { checkPreimageShape } from '../../src/intent/shape.ts';
import { arbitraryTransaction } from './arbitrary.ts';
import { signNative, signNoble } from './signing.ts';

// The same transactions every time; fast-check prints the seed and the smallest counterexample on failure.
const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);
const PRIVATE_KEY = Buffer.alloc(32, 0x46);

describe('against ethers and @noble/secp256k1', () => {
  it('10,000 random transactions of all types have the same preimage, digest, signature, raw bytes and hash', () => {
    const types = new Map<number, number>();
    fc.assert(
      fc.property(arbitraryTransaction(), (transaction) => {
        types.set(transaction.type, (types.get(transaction.type) ?? 0) + 1);
        const theirs = EthersTransaction.from(toEthers(transaction));
        const preimage = preimageOf({ operation: 'transaction', transaction });
        expect(toHex(preimage)).toBe(theirs.unsignedSerialized);
        checkPreimageShape('transaction', preimage);

        const digest = digestOf('transaction', preimage);
        expect(toHex(digest)).toBe(theirs.unsignedHash);

        const signature = signNative(digest, PRIVATE_KEY);
        expect(plain(signature)).toEqual(plain(signNoble(digest, PRIVATE_KEY)));

        theirs.signature = Signature.from({
          r: toHex(signature.r),
          s: toHex(signature.s),
          yParity: signature.yParity,
        });
        const raw = serializeSigned(transaction, signature);
        expect(toHex(raw)).toBe(theirs.serialized);
        expect(toHex(transactionHash(raw))).toBe(theirs.hash);
      }),
      { numRuns: 10_000, seed: SEED },
    );
    expect([...types.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4]);
    expect(Math.min(...types.values())).toBeGreaterThan(1_500);
  });
});

function plain({ r, s, yParity }: ReturnType<typeof signNative>): object {
  return { r: toHex(r), s: toHex(s), yParity };
}

function toEthers(transaction: Transaction): TransactionLike {
  const { nonce, accessList, authorizationList, ...rest } = {
    accessList: undefined,
    authorizationList: undefined,
    ...transaction,
  };
  return {
    ...rest,
    nonce: Number(nonce),
    ...(accessList && {
      accessList: accessList.map(({ address, storageKeys }) => ({ address, storageKeys: [...storageKeys] })),
    }),
    ...(authorizationList && {
      authorizationList: authorizationList.map(({ chainId, address, nonce, yParity, r, s }) => ({
        chainId,
        address,
        nonce,
        signature: Signature.from({ r: word(r), s: word(s), yParity }),
      })),
    }),
  } as TransactionLike;
}

function word(value: bigint): string {
  return `0x${value.toString(16).padStart(64, '0')}`;
}
