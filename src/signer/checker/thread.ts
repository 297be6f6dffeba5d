import { Worker } from 'node:worker_threads';
import { asBuffer, type Hex } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { SIGNATURE_BYTES } from '../../secp256k1.ts';
import {
  CAPACITY,
  DIGEST,
  DONE,
  newRingMemory,
  PUBLIC_KEY,
  PUT,
  recordAt,
  ringIn,
  SIGNATURE,
  VERDICT,
  VERDICTS,
} from './ring.ts';

interface Waiting {
  readonly resolve: (holds: boolean) => void;
  readonly reject: (error: Error) => void;
}

const DIGEST_BYTES = 32;
const PUBLIC_KEY_BYTES = 65;
const WORTH_WAKING = 4;
/** Its loop allocates hardly anything: what V8 would give it by default is never used, and some of it taken. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 32 };

/** One checker thread with its ring, from its start to its end. */
export class CheckerThread {
  readonly #worker: Worker;
  readonly #control: Int32Array<SharedArrayBuffer>;
  readonly #records: Buffer;
  readonly #waiting = new Map<number, Waiting>();
  readonly #end = Promise.withResolvers<string>();
  #ended = false;
  /** What was put into the ring, what of it the thread was told of, and what it has done; all modulo 2^32. */
  #put = 0;
  #told = 0;
  #done = 0;
  #idleLooks = 0;

  constructor(program: URL) {
    const memory = newRingMemory();
    const { control, records } = ringIn(memory);
    this.#control = control;
    this.#records = asBuffer(records);
    this.#worker = new Worker(program, { workerData: memory, env: {}, resourceLimits: LIMITS });
    this.#worker.once('error', (error) => this.end(`it failed: ${error.message}`));
    this.#worker.once('exit', (code) => this.end(`exit code ${code}`));
    this.#listen();
  }

  /** Why it ended, once it has. */
  get ended(): Promise<string> {
    return this.#end.promise;
  }

  /**
   * Whether it is a signature of this key over the digest. All that is asked in one turn of the event loop, and in the next
   * ones while they bring more, goes to the thread at once. Throws `unavailable` when the thread ends, or more waits than the ring holds.
   *
   * @param signature r ‖ s ‖ yParity; false where it is not of that length
   * @param publicKey uncompressed SEC 1 point
   */
  check(digest: Hex, signature: Uint8Array, publicKey: Hex): Promise<boolean> {
    if (this.#ended) return Promise.reject(new CountersignError('unavailable', ENDED));
    if (this.#waiting.size >= CAPACITY) {
      const message = 'more signatures wait to be checked than there is room for';
      return Promise.reject(new CountersignError('unavailable', message));
    }
    const at = recordAt(this.#put);
    const records = this.#records;
    const written =
      records.write(digest.slice(2), at + DIGEST, 'hex') +
      records.write(publicKey.slice(2), at + PUBLIC_KEY, 'hex');
    if (written !== DIGEST_BYTES + PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES)
      return Promise.resolve(false);
    records.set(signature, at + SIGNATURE);
    records[at + VERDICT] = VERDICTS.none;
    const count = this.#put;
    this.#put = (count + 1) | 0;
    if (count === this.#told) this.#tellSoon();
    return new Promise((resolve, reject) => this.#waiting.set(count, { resolve, reject }));
  }

  /** To be called at intervals; how many times in a row there was something to do and nothing was done. */
  look(): number {
    this.#read();
    this.#idleLooks = this.#waiting.size === 0 ? 0 : this.#idleLooks + 1;
    return this.#idleLooks;
  }

  /** Ends the thread; whoever waits for it hears so. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    void this.#worker.terminate();
    // So that nothing waits for this memory any more.
    Atomics.notify(this.#control, DONE);
    for (const { reject } of this.#waiting.values()) reject(new CountersignError('unavailable', ENDED));
    this.#waiting.clear();
    this.#end.resolve(reason);
  }

  /** To wake a thread costs a third of what it does then: a few wait for each other while every turn brings more. */
  #tellSoon(): void {
    const put = this.#put;
    setImmediate(() => {
      if (this.#put === put || ((this.#put - this.#told) | 0) >= WORTH_WAKING) this.#tell();
      else this.#tellSoon();
    });
  }

  #tell(): void {
    this.#told = this.#put;
    Atomics.store(this.#control, PUT, this.#put);
    Atomics.notify(this.#control, PUT);
  }

  #listen(): void {
    while (!this.#ended) {
      const change = Atomics.waitAsync(this.#control, DONE, this.#done);
      if (change.async) {
        void change.value.then(() => this.#listen());
        return;
      }
      this.#read();
    }
  }

  #read(): void {
    const done = Atomics.load(this.#control, DONE);
    if (((done - this.#done) | 0) < 0 || ((this.#told - done) | 0) < 0)
      return this.end('it counted what it was not given');
    while (this.#done !== done) {
      const count = this.#done;
      const waiting = this.#waiting.get(count);
      const verdict = this.#records[recordAt(count) + VERDICT];
      if (waiting === undefined || (verdict !== VERDICTS.holds && verdict !== VERDICTS.refused))
        return this.end('it gave no verdict');
      this.#waiting.delete(count);
      this.#done = (count + 1) | 0;
      this.#idleLooks = 0;
      waiting.resolve(verdict === VERDICTS.holds);
    }
  }
}

const ENDED = 'the checker of signatures ended before it answered';
