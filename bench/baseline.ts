import { createRequire } from 'node:module';

interface Binding {
  publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array;
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number };
  ecdsaRecover(signature: Uint8Array, recid: number, digest: Uint8Array, compressed: boolean): Uint8Array;
}

const secp256k1 = createRequire(import.meta.url)('secp256k1/bindings') as Binding;

/** libsecp256k1 alone, sign and recover, one core, nothing else: the rate that everything is compared with, per second. */
export function rawSignatureRate(milliseconds: number): number {
  const privateKey = Buffer.alloc(32, 7);
  const digest = Buffer.alloc(32);
  const end = performance.now() + milliseconds;
  const start = performance.now();
  let count = 0;
  while (performance.now() < end) {
    for (let i = 0; i < 50; i++) {
      digest.writeUInt32BE(count++);
      const { signature, recid } = secp256k1.ecdsaSign(digest, privateKey);
      secp256k1.ecdsaRecover(signature, recid, digest, false);
    }
  }
  return (count * 1000) / (performance.now() - start);
}
