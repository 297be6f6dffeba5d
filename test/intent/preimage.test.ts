import { hashMessage as ethersHashMessage, Signature, Transaction as EthersTransaction } from 'ethers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/bytes.ts';
import { CountersignError } from '../../src/errors.ts';
import type { Transaction } from '../../src/intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { arbitraryHex } from './arbitrary.ts';
import { signatureHex, signNative } from './signing.ts';
import { ethersVectors, hasSharedVectors, sharedVectors } from './vectors.ts';

interface LegacyVector {
  readonly name: string;
  readonly privateKey: string;
  readonly unsignedTransactionChainId5: string;
  readonly signedTransactionChainId5: string;
  readonly to?: string;
  readonly data?: string;
  readonly gasLimit?: string;
  readonly gasPrice?: string;
  readonly value?: string;
  readonly nonce?: string;
}

interface TypedVector {
  readonly name: string;
  readonly key: string;
  readonly tx: Readonly<Record<string, unknown>> & { readonly type: number };
  readonly unsigned: string;
  readonly signed: string;
}

interface PersonalSign {
  readonly cases: readonly {
    readonly privateKey: string;
    readonly message: string;
    readonly signature: string;
  }[];
}

interface SetCodeVector {
  readonly kind: 'authorization' | 'transaction';
  readonly privateKey?: string;
  readonly chainId?: number;
  readonly address?: string;
  readonly nonce?: number;
  readonly hash?: string;
  readonly signature?: string;
  readonly raw: string;
  readonly signingHash: string;
  readonly txHash: string;
}

describe('transactions of @ethersproject/testcases', () => {
  it('legacy: preimage, signature and raw bytes of those whose gas limit fits 64 bits', () => {
    const vectors = ethersVectors('transactions') as LegacyVector[];
    const bounded = vectors.filter(hasBoundedGasLimit);
    expect([vectors.length, bounded.length]).toEqual([1067, 984]);
    for (const vector of bounded) {
      checkSigning(parse(legacy(vector)), {
        privateKey: vector.privateKey,
        unsigned: vector.unsignedTransactionChainId5,
        signed: vector.signedTransactionChainId5,
      });
    }
    for (const vector of vectors.filter((vector) => !hasBoundedGasLimit(vector))) {
      expect(() => parse(legacy(vector))).toThrow('transaction.gasLimit must be less than 2^64');
    }
  });

  it('types 1 and 2: the 1,408 of 1,792 that have a chain id', () => {
    const vectors = ethersVectors('typed-transactions') as TypedVector[];
    const withChain = vectors.filter(({ tx }) => tx['chainId'] !== undefined);
    expect([vectors.length, withChain.length]).toEqual([1792, 1408]);
    for (const { key, tx, unsigned, signed } of withChain) {
      checkSigning(parse(withDefaults(tx)), { privateKey: key, unsigned, signed });
    }
  });

  it('types 1 and 2: the others would be valid on any chain, and are refused', () => {
    const vectors = ethersVectors('typed-transactions') as TypedVector[];
    for (const { tx } of vectors.filter(({ tx }) => tx['chainId'] === undefined)) {
      expect(() => parse({ ...withDefaults(tx), chainId: 0 })).toThrow('transaction.chainId');
    }
  });
});

describe.skipIf(!hasSharedVectors)('vectors of ../shared/vectors', () => {
  it('personal_sign', () => {
    const { cases } = sharedVectors('personal-sign/personal-sign.json') as PersonalSign;
    expect(cases.length).toBe(4);
    for (const { privateKey, message, signature } of cases) {
      const preimage = preimageOf(parseIntent('message', { data: message }));
      const key = Buffer.from(privateKey, 'hex');
      expect(signatureHex(signNative(digestOf('message', preimage), key))).toBe(signature);
    }
  });

  it('EIP-7702: authorizations for one chain are signed, for every chain refused', () => {
    const vectors = sharedVectors('eip7702/eip7702.json') as SetCodeVector[];
    const authorizations = vectors.filter(({ kind }) => kind === 'authorization');
    expect(authorizations.map(({ chainId }) => chainId)).toEqual([8545, 0]);
    const [signed, refused] = authorizations.map(({ chainId, address, nonce }) => ({
      chainId,
      address,
      nonce,
    }));
    expect(() => parseIntent('authorization', refused)).toThrow('on every chain');

    const { privateKey = '', hash, signature } = authorizations[0]!;
    const digest = digestOf('authorization', preimageOf(parseIntent('authorization', signed)));
    expect(toHex(digest)).toBe(hash);
    expect(signatureHex(signNative(digest, Buffer.from(privateKey.slice(2), 'hex')))).toBe(signature);
  });

  it('EIP-7702: type-4 transactions; the one that carries an authorization for every chain is refused', () => {
    const transactions = (sharedVectors('eip7702/eip7702.json') as SetCodeVector[])
      .filter(({ kind }) => kind === 'transaction')
      .map((vector) => ({ vector, theirs: EthersTransaction.from(vector.raw) }));
    const forEveryChain = transactions.filter(({ theirs }) => hasAuthorizationForEveryChain(theirs));
    expect([transactions.length, forEveryChain.length]).toEqual([3, 1]);
    for (const { theirs } of forEveryChain) expect(() => parse(fromEthers(theirs))).toThrow('on every chain');

    for (const { vector, theirs } of transactions.filter(
      (transaction) => !forEveryChain.includes(transaction),
    )) {
      const transaction = parse(fromEthers(theirs));
      const digest = digestOf('transaction', preimageOf({ operation: 'transaction', transaction }));
      expect(toHex(digest)).toBe(vector.signingHash);
      const { r, s, yParity } = Signature.from(theirs.signature!);
      const signature = { r: Buffer.from(r.slice(2), 'hex'), s: Buffer.from(s.slice(2), 'hex'), yParity };
      const serialized = serializeSigned(transaction, signature);
      expect(toHex(serialized)).toBe(vector.raw);
      expect(toHex(transactionHash(serialized))).toBe(vector.txHash);
    }
  });
});

describe('preimageOf', () => {
  it('messages agree with ethers', () => {
    fc.assert(
      fc.property(fc.oneof(arbitraryHex(0, 40), arbitraryHex(95, 105), arbitraryHex(999, 1001)), (data) => {
        const digest = digestOf('message', preimageOf({ operation: 'message', data }));
        expect(toHex(digest)).toBe(ethersHashMessage(Buffer.from(data.slice(2), 'hex')));
      }),
    );
  });

  it('a digest is signed as it is', () => {
    const digest = `0x${'ab'.repeat(32)}` as const;
    const preimage = preimageOf({ operation: 'digest', digest, purpose: 'test' });
    expect(toHex(preimage)).toBe(digest);
    expect(toHex(digestOf('digest', preimage))).toBe(digest);
  });
});

describe('serializeSigned', () => {
  it('writes r and s without leading zeros, as ethers does', () => {
    const part = fc
      .tuple(fc.nat(31), fc.uint8Array({ minLength: 32, maxLength: 32 }))
      .map(([zeros, bytes]) => Buffer.from(bytes).fill(0, 0, zeros).fill(1, 31))
      .filter((bytes) => bytes.readUInt8(0) < 0x7f);
    fc.assert(
      fc.property(
        part,
        part,
        fc.constantFrom(0 as const, 1 as const),
        fc.boolean(),
        (r, s, yParity, isLegacy) => {
          const fees = isLegacy ? { gasPrice: '1' } : { maxFeePerGas: '1', maxPriorityFeePerGas: '1' };
          const transaction = parse({ chainId: 1, nonce: 0, gasLimit: 0, ...fees });
          const theirs = EthersTransaction.from(toHex(preimageOf({ operation: 'transaction', transaction })));
          theirs.signature = Signature.from({ r: toHex(r), s: toHex(s), yParity });
          expect(toHex(serializeSigned(transaction, { r, s, yParity }))).toBe(theirs.serialized);
        },
      ),
    );
  });

  it('refuses parts of a signature that are not 32 bytes', () => {
    const transaction = parse({ chainId: 1, nonce: 0, gasLimit: 0, gasPrice: '0' });
    const part = Buffer.alloc(32, 1);
    for (const signature of [
      { r: part.subarray(1), s: part },
      { r: part, s: part.subarray(1) },
    ]) {
      expect(() => serializeSigned(transaction, { ...signature, yParity: 0 })).toThrow(CountersignError);
    }
  });

  it('refuses the preimage of another type of transaction', () => {
    const shared = { chainId: 1, nonce: 0, gasLimit: 0 };
    const transaction = parse({ ...shared, maxFeePerGas: '1', maxPriorityFeePerGas: '1' });
    const other = preimageOf({
      operation: 'transaction',
      transaction: parse({ ...shared, gasPrice: '1', accessList: [] }),
    });
    const part = Buffer.alloc(32, 1);
    expect(() => serializeSigned(transaction, { r: part, s: part, yParity: 0 }, other)).toThrow(
      'not of a transaction of that type',
    );
  });
});

function parse(transaction: object): Transaction {
  return parseIntent('transaction', { transaction }).transaction;
}

function checkSigning(
  transaction: Transaction,
  vector: { readonly privateKey: string; readonly unsigned: string; readonly signed: string },
): void {
  const preimage = preimageOf({ operation: 'transaction', transaction });
  expect(toHex(preimage)).toBe(vector.unsigned);
  const digest = digestOf('transaction', preimage);
  const signature = signNative(digest, Buffer.from(vector.privateKey.slice(2), 'hex'));
  expect(toHex(serializeSigned(transaction, signature))).toBe(vector.signed);
}

/** The vectors write zero as `0x`, or leave it out. */
function quantity(value = '0x'): string {
  return value === '0x' ? '0' : value;
}

function legacy({ to, data = '0x', nonce, gasPrice, gasLimit, value }: LegacyVector): object {
  const fields = { chainId: 5, to, data, nonce: quantity(nonce), gasPrice: quantity(gasPrice) };
  return { ...fields, gasLimit: quantity(gasLimit), value: quantity(value) };
}

function hasBoundedGasLimit({ gasLimit }: LegacyVector): boolean {
  return BigInt(quantity(gasLimit)) < 2n ** 64n;
}

function withDefaults(tx: TypedVector['tx']): object {
  const fees = tx.type === 1 ? { gasPrice: '0' } : { maxFeePerGas: '0', maxPriorityFeePerGas: '0' };
  return { nonce: 0, gasLimit: 0, ...fees, ...tx };
}

function hasAuthorizationForEveryChain(theirs: EthersTransaction): boolean {
  return (theirs.authorizationList ?? []).some(({ chainId }) => chainId === 0n);
}

function fromEthers(theirs: EthersTransaction) {
  return {
    type: theirs.type,
    chainId: theirs.chainId.toString(),
    nonce: theirs.nonce,
    to: theirs.to,
    value: theirs.value.toString(),
    data: theirs.data,
    gasLimit: theirs.gasLimit.toString(),
    maxFeePerGas: String(theirs.maxFeePerGas),
    maxPriorityFeePerGas: String(theirs.maxPriorityFeePerGas),
    accessList: theirs.accessList ?? [],
    authorizationList: (theirs.authorizationList ?? []).map(({ chainId, address, nonce, signature }) => ({
      chainId: chainId.toString(),
      address,
      nonce: nonce.toString(),
      yParity: signature.yParity,
      r: signature.r,
      s: signature.s,
    })),
  };
}
