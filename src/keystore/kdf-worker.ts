import { argon2Sync } from 'node:crypto';
import { workerData } from 'node:worker_threads';
import { scrypt } from '@noble/hashes/scrypt.js';
import type { KdfParams } from './kdf.ts';

/** The password at the start of `memory`, which is shared; the derived key is written right after it. */
export interface KdfJob {
  readonly memory: Uint8Array<SharedArrayBuffer>;
  readonly passwordLength: number;
  /** Of `params.salt`. */
  readonly saltBytes: Uint8Array;
  readonly params: Exclude<KdfParams, { kdf: 'pbkdf2' }>;
}

function derive(password: Uint8Array, { saltBytes, params }: KdfJob): Uint8Array {
  if (params.kdf === 'scrypt') {
    const { n, r, p, dklen } = params;
    return scrypt(password, saltBytes, { N: n, r, p, dkLen: dklen });
  }
  return argon2Sync('argon2id', {
    message: password,
    nonce: saltBytes,
    memory: params.memoryKiB,
    passes: params.iterations,
    parallelism: params.parallelism,
    tagLength: params.dklen,
  });
}

// The end of this thread is the message that the key is there.
const job = workerData as KdfJob;
const key = derive(job.memory.subarray(0, job.passwordLength), job);
job.memory.set(key, job.passwordLength);
key.fill(0);
