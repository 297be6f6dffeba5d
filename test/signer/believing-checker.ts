import { workerData } from 'node:worker_threads';
import { DONE, PUT, recordAt, ringIn, VERDICT, VERDICTS } from '../../src/signer/checker/ring.ts';

/** A checker that finds every signature good. */
const { control, records } = ringIn(workerData as SharedArrayBuffer);
for (let done = 0; ; done++) {
  while (Atomics.load(control, PUT) === done) Atomics.wait(control, PUT, done);
  records[recordAt(done) + VERDICT] = VERDICTS.holds;
  Atomics.store(control, DONE, done + 1);
  Atomics.notify(control, DONE);
}
