import { createRequire } from 'node:module';
import type * as HashWasm from 'hash-wasm';

/** The package's own build of this hash alone: the one of all thirty takes 0.8 MB of heap that stay. */
const { createKeccak } = createRequire(import.meta.url)('hash-wasm/dist/keccak.umd.min.js') as Pick<
  typeof HashWasm,
  'createKeccak'
>;

/** Keccak-256 as Ethereum has it: with the padding from before FIPS 202. Its state is reset with each use. */
const hasher = await createKeccak(256);

/**
 * The 32 bytes of Keccak-256, for what is public: the input stays in the memory of the WebAssembly module, where no wipe
 * reaches it. A tenth of what the same costs in JavaScript; the signer process has that other implementation, so that a
 * digest is signed only where the two agree.
 */
export function keccak256(bytes: Uint8Array): Buffer {
  const digest = hasher.init().update(bytes).digest('binary');
  return Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength);
}
