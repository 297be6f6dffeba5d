import { workerData } from 'node:worker_threads';
import { scrypt } from '@noble/hashes/scrypt.js';

/** The password at the start of `memory`, which is shared; the derived key is written right after it. */
export interface ScryptJob {
  readonly memory: Uint8Array<SharedArrayBuffer>;
  readonly passwordLength: number;
  readonly salt: Uint8Array;
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly dklen: number;
}

// The end of this thread is the message that the key is there.
const { memory, passwordLength, salt, n, r, p, dklen } = workerData as ScryptJob;
const key = scrypt(memory.subarray(0, passwordLength), salt, { N: n, r, p, dkLen: dklen });
memory.set(key, passwordLength);
key.fill(0);
