import { workerData } from 'node:worker_threads';
import { DONE, PUT, recordAt, ringIn, VERDICT, VERDICTS } from '../../src/signer/checker/ring.ts';

/**
 * A checker that finds every signature good but those of its self-test, and does what the third byte of a digest asks for that
 * begins with `fa 17`.
 */
const { control, records } = ringIn(workerData as SharedArrayBuffer);
const SELF_TEST = 11;

for (let done = 0; ;) {
  if (Atomics.load(control, PUT) === done) {
    Atomics.wait(control, PUT, done);
    continue;
  }
  const at = recordAt(done);
  const fault = records[at] === 0xfa && records[at + 1] === 0x17 ? records[at + 2] : undefined;
  if (fault === 0) process.exit(3);
  if (fault === 1) throw new Error('broken');
  if (fault === 2) Atomics.wait(control, PUT + 2, 0);
  const holds = done === 0 || done >= SELF_TEST;
  if (fault !== 3) records[at + VERDICT] = holds ? VERDICTS.holds : VERDICTS.refused;
  done += fault === 4 ? 2 : 1;
  Atomics.store(control, DONE, done);
  Atomics.notify(control, DONE);
}
