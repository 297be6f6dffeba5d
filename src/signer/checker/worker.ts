import { workerData } from 'node:worker_threads';
import { isSignatureOf } from '../../secp256k1.ts';
import {
  DIGEST,
  DONE,
  PUBLIC_KEY,
  PUT,
  RECORD_BYTES,
  recordAt,
  ringIn,
  SIGNATURE,
  VERDICT,
  VERDICTS,
} from './ring.ts';

/** The checker: a thread that has nothing but a ring of digests, signatures and public keys, and says which belong together. */
const { control, records } = ringIn(workerData as SharedArrayBuffer);

/** Whoever waits for the first of many should not wait for the last. */
const MOST_AT_ONCE = 8;

// Native code reads from memory that nobody shares.
const record = new Uint8Array(RECORD_BYTES);
const digest = record.subarray(DIGEST, SIGNATURE);
const signature = record.subarray(SIGNATURE, PUBLIC_KEY);
const publicKey = record.subarray(PUBLIC_KEY, VERDICT);

for (let done = 0; ;) {
  const put = Atomics.load(control, PUT);
  if (put === done) {
    Atomics.wait(control, PUT, done);
    continue;
  }
  for (let n = 0; n < MOST_AT_ONCE && done !== put; n++) {
    const at = recordAt(done);
    record.set(records.subarray(at, at + RECORD_BYTES));
    records[at + VERDICT] = isSignatureOf(publicKey, digest, signature) ? VERDICTS.holds : VERDICTS.refused;
    done = (done + 1) | 0;
  }
  Atomics.store(control, DONE, done);
  Atomics.notify(control, DONE);
}
