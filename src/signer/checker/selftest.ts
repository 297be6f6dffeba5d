import type { Hex } from '../../bytes.ts';

/**
 * RFC 6979 with SHA-256 over secp256k1, as published: private key 1, message "Satoshi Nakamoto". The key is the group's generator
 * (SEC 2 v2, 2.4.1).
 */
const DIGEST = 'a0dc65ffca799873cbea0ac274015b9526505daaaed385155425f7337704883e';
const R = '934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8';
const S = '2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5';
/** The order less s. */
const HIGH_S = 'dbbd3162d46e9f9bef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c';
const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
const GENERATOR =
  '0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8';
const TWICE_GENERATOR =
  '04c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee51ae168fea63dc339a3c58419466ceaeef7f632653266d0e1236431a950cfe52a';
const ZERO = '00'.repeat(32);
const EVEN = '00';
const ODD = '01';

interface Case {
  readonly digest?: string;
  readonly signature: string;
  readonly key?: string;
}

/** One that holds, and one that does not for each reason that there is. */
const CASES: { readonly [name: string]: Case } = {
  'a signature': { signature: R + S + ODD },
  'another digest': { signature: R + S + ODD, digest: R },
  'another key': { signature: R + S + ODD, key: TWICE_GENERATOR },
  'the other parity': { signature: R + S + EVEN },
  'a recovery id that has no parity': { signature: R + S + '02' },
  'another r': { signature: GENERATOR.slice(2, 66) + S + ODD },
  'another s': { signature: R + '00'.repeat(31) + '02' + ODD },
  'the high s': { signature: R + HIGH_S + EVEN },
  'r zero': { signature: ZERO + S + ODD },
  's zero': { signature: R + ZERO + ODD },
  'r the order': { signature: ORDER + S + ODD },
};

/** Known answers, asked before anything depends on them. @returns the names of those that were wrong; empty is good. */
export async function selfTest(
  check: (digest: Hex, signature: Uint8Array, publicKey: Hex) => Promise<boolean>,
): Promise<string[]> {
  const asked = Object.entries(CASES).map(async ([name, { digest = DIGEST, signature, key = GENERATOR }]) => {
    const holds = await check(`0x${digest}`, Buffer.from(signature, 'hex'), `0x${key}`);
    return holds === (name === 'a signature') ? [] : [name];
  });
  return (await Promise.all(asked)).flat();
}
