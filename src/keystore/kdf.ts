import { pbkdf2, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { wipe } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { parseWith } from '../schema.ts';
import { allocSecret } from './envelope.ts';
import type { KdfJob } from './kdf-worker.ts';

const MIB = 2 ** 20;

/** The weakest parameters that are written; also the defaults. */
const FLOOR = {
  scrypt: { n: 2 ** 17, r: 8, p: 1 },
  pbkdf2: { c: 600_000 },
  argon2id: { memoryKiB: 64 * 1024, iterations: 3, parallelism: 4 },
} as const;

/** n=2^19 r=8 and its workspace: twice what geth writes (n=2^18 r=8, 256 MiB). Two may run at once. */
const SCRYPT_MAX_MEMORY = 513 * MIB;
/** n·r·p; geth's standard file has 2^21 and takes half a second of one core: this is eight times that. */
const SCRYPT_MAX_WORK = 2 ** 24;
/** Times the 32-byte blocks of output; sixteen times the floor, one to five seconds of one core. */
const PBKDF2_MAX_ITERATIONS = 10_000_000;
/** The same memory as scrypt's largest. */
const ARGON2_MAX_MEMORY_KIB = 512 * 1024;
/** memoryKiB·iterations, 4 GiB of passes: twenty times the floor, a few seconds of one core. */
const ARGON2_MAX_WORK_KIB = 4 * 1024 * 1024;
/** Each lane is a native thread. */
const ARGON2_MAX_PARALLELISM = 16;
/** The V3 format takes bytes 0–31 of the key; nothing asks for more than 64. */
const DKLEN = { min: 32, max: 64 };
/** Short salts occur in old files; RFC 9106 section 3.1 wants 8 bytes. */
const SALT_BYTES = { min: 1, minArgon2: 8, max: 64 };

/** Two at a time bound the memory (about 1 GiB) and leave libuv's other threads free. */
const MAX_RUNNING = 2;
/** At about a second each, the last in the queue waits some 16 seconds: longer is past any client's patience. */
const MAX_WAITING = 32;

const integer = z.int({ error: 'must be an integer' });
const salt = z.string().regex(/^(?:[0-9a-f]{2})+$/, 'must be lower-case hex without 0x');
const saltAndLength = { dklen: integer, salt };

/** KDF parameters as stored beside what they protect. The shape only: {@link checkKdfBounds} judges the cost. */
export const kdfParamsSchema = z.discriminatedUnion('kdf', [
  z.strictObject({ kdf: z.literal('scrypt'), n: integer, r: integer, p: integer, ...saltAndLength }),
  z.strictObject({
    kdf: z.literal('pbkdf2'),
    prf: z.literal('hmac-sha256'),
    c: integer,
    ...saltAndLength,
  }),
  z.strictObject({
    kdf: z.literal('argon2id'),
    memoryKiB: integer,
    iterations: integer,
    parallelism: integer,
    ...saltAndLength,
  }),
]);

/** `salt` is hex without `0x`; `dklen` is in bytes. */
export type KdfParams = z.infer<typeof kdfParamsSchema>;

type ScryptParams = Extract<KdfParams, { kdf: 'scrypt' }>;
type Pbkdf2Params = Extract<KdfParams, { kdf: 'pbkdf2' }>;
type Argon2Params = Extract<KdfParams, { kdf: 'argon2id' }>;

function cost(floor: number, description: string) {
  return integer
    .min(floor, { error: `must be at least ${floor}` })
    .default(floor)
    .meta({ description });
}

export const scryptChoiceSchema = z
  .strictObject({
    kdf: z.literal('scrypt'),
    n: cost(FLOOR.scrypt.n, 'CPU and memory cost, a power of two.'),
    r: cost(FLOOR.scrypt.r, 'Block size.'),
    p: cost(FLOOR.scrypt.p, 'Parallelization.'),
  })
  .meta({ description: 'scrypt (RFC 7914); memory is 128·n·r bytes.' });

export const pbkdf2ChoiceSchema = z
  .strictObject({ kdf: z.literal('pbkdf2'), c: cost(FLOOR.pbkdf2.c, 'Iterations.') })
  .meta({ description: 'PBKDF2 with HMAC-SHA-256 (RFC 8018).' });

const argon2idChoiceSchema = z
  .strictObject({
    kdf: z.literal('argon2id'),
    memoryKiB: cost(FLOOR.argon2id.memoryKiB, 'Memory in KiB.'),
    iterations: cost(FLOOR.argon2id.iterations, 'Passes over the memory.'),
    parallelism: cost(FLOOR.argon2id.parallelism, 'Lanes.'),
  })
  .meta({ description: 'argon2id version 1.3 (RFC 9106).' });

/** What a caller may ask for; what is left out takes its default, which is also its minimum. */
export const kdfChoiceSchema = z
  .discriminatedUnion('kdf', [scryptChoiceSchema, pbkdf2ChoiceSchema, argon2idChoiceSchema])
  .meta({
    description: 'How the password becomes a key. Parameters may be stronger than the defaults only.',
  });

export type KdfChoice = z.input<typeof kdfChoiceSchema>;

/**
 * Parameters with a fresh 32-byte salt, for a 32-byte key. Weaker than the defaults, or beyond what
 * {@link checkKdfBounds} would read back, is an `invalid_request`.
 */
export function newKdfParams(choice: KdfChoice['kdf'] | KdfChoice = 'scrypt'): KdfParams {
  const wanted = parseWith(kdfChoiceSchema, typeof choice === 'string' ? { kdf: choice } : choice, 'kdf');
  const fresh = { dklen: 32, salt: randomBytes(32).toString('hex') };
  const params: KdfParams =
    wanted.kdf === 'pbkdf2' ? { ...wanted, prf: 'hmac-sha256', ...fresh } : { ...wanted, ...fresh };
  checkKdfBounds(params);
  return params;
}

/**
 * Refuses parameters that are meaningless or would cost too much memory or time, before any work is done.
 * @param path prefix of the field named in the `invalid_request`
 */
export function checkKdfBounds(params: KdfParams, path = 'kdf'): void {
  const minSalt = params.kdf === 'argon2id' ? SALT_BYTES.minArgon2 : SALT_BYTES.min;
  checkRange(`${path}.dklen`, params.dklen, DKLEN.min, DKLEN.max);
  checkRange(`${path}.salt`, params.salt.length / 2, minSalt, SALT_BYTES.max, ' bytes');
  switch (params.kdf) {
    case 'scrypt':
      return checkScryptBounds(params, path);
    case 'pbkdf2':
      return checkPbkdf2Bounds(params, path);
    case 'argon2id':
      return checkArgon2Bounds(params, path);
  }
}

/** What of these parameters is weaker than anything that is written here: `n 4096, at least 131072`; empty for none. */
export function belowFloor(params: KdfParams): string[] {
  const floor: { readonly [name: string]: number } = FLOOR[params.kdf];
  const given: { readonly [name: string]: unknown } = params;
  return Object.entries(floor).flatMap(([name, least]) => {
    const value = given[name];
    return typeof value === 'number' && value < least ? [`${name} ${value}, at least ${least}`] : [];
  });
}

/**
 * The key of `params.dklen` bytes, computed off the event loop. The caller keeps `password` unchanged until
 * this settles and wipes both. At most two derivations run at once; too many waiting is `unavailable`.
 */
export async function deriveKey(password: Uint8Array, params: KdfParams): Promise<Buffer> {
  checkKdfBounds(params);
  return withSlot(() => derive(password, params));
}

function checkScryptBounds({ n, r, p }: ScryptParams, path: string): void {
  checkRange(`${path}.n`, n, 2, 2 ** 32);
  if (!isPowerOfTwo(n)) throw invalidField(`${path}.n`, 'must be a power of two');
  checkRange(`${path}.r`, r, 1, SCRYPT_MAX_WORK);
  checkRange(`${path}.p`, p, 1, SCRYPT_MAX_WORK);
  if (scryptMemory(n, r, p) > SCRYPT_MAX_MEMORY) {
    throw invalidField(`${path}.n`, `scrypt would need more than ${SCRYPT_MAX_MEMORY / MIB} MiB of memory`);
  }
  if (n * r * p > SCRYPT_MAX_WORK) {
    throw invalidField(`${path}.p`, `scrypt would take too long: n·r·p is over ${SCRYPT_MAX_WORK}`);
  }
}

function checkPbkdf2Bounds({ c, dklen }: Pbkdf2Params, path: string): void {
  checkRange(`${path}.c`, c, 1, Math.floor(PBKDF2_MAX_ITERATIONS / Math.ceil(dklen / 32)));
}

function checkArgon2Bounds({ memoryKiB, iterations, parallelism }: Argon2Params, path: string): void {
  checkRange(`${path}.parallelism`, parallelism, 1, ARGON2_MAX_PARALLELISM);
  // RFC 9106 section 3.1: at least 8 KiB a lane.
  checkRange(`${path}.memoryKiB`, memoryKiB, 8 * parallelism, ARGON2_MAX_MEMORY_KIB);
  checkRange(`${path}.iterations`, iterations, 1, Math.floor(ARGON2_MAX_WORK_KIB / memoryKiB));
}

function checkRange(path: string, value: number, min: number, max: number, unit = ''): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw invalidField(path, `must be an integer from ${min} to ${max}${unit}`);
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(Math.log2(n));
}

/** What OpenSSL compares with `maxmem`: the table, two blocks, and the p blocks of RFC 7914 section 6. */
function scryptMemory(n: number, r: number, p: number): number {
  return 128 * r * (n + 2 + p);
}

let running = 0;
const waiting: (() => void)[] = [];

async function withSlot<T>(work: () => Promise<T>): Promise<T> {
  if (running < MAX_RUNNING) {
    running += 1;
  } else {
    if (waiting.length >= MAX_WAITING) {
      throw new CountersignError('unavailable', 'too many key derivations are waiting: try again later');
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
  try {
    return await work();
  } finally {
    // A waiter takes over this slot, so the count changes only when nobody waits.
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}

async function derive(password: Uint8Array, params: KdfParams): Promise<Buffer> {
  const saltBytes = Buffer.from(params.salt, 'hex');
  try {
    if (params.kdf === 'scrypt') return await deriveScrypt(password, saltBytes, params);
    // Node's asynchronous argon2 leaves its copy of the password in freed memory; the other makes none.
    if (params.kdf === 'argon2id') return await deriveInWorker(password, saltBytes, params);
    return await promisify(pbkdf2)(password, saltBytes, params.c, params.dklen, 'sha256');
  } catch (error) {
    throw new CountersignError('unavailable', `the ${params.kdf} derivation did not finish`, [], error);
  }
}

function deriveScrypt(password: Uint8Array, saltBytes: Buffer, params: ScryptParams): Promise<Buffer> {
  const { n, r, p, dklen } = params;
  // OpenSSL refuses N >= 2^(128·r/8) after RFC 7914 section 2 (see its errata), yet such files exist.
  if (n >= 2 ** (16 * r)) return deriveInWorker(password, saltBytes, params);
  const maxmem = scryptMemory(n, r, p);
  return new Promise((resolve, reject) => {
    scrypt(password, saltBytes, dklen, { N: n, r, p, maxmem }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/** The password goes and the key returns in shared memory, so that no message leaves a copy that nobody wipes. */
async function deriveInWorker(
  password: Uint8Array,
  salt: Buffer,
  params: ScryptParams | Argon2Params,
): Promise<Buffer> {
  const { dklen } = params;
  const memory = new Uint8Array(new SharedArrayBuffer(password.length + dklen));
  const job: KdfJob = { memory, passwordLength: password.length, saltBytes: salt, params };
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  try {
    memory.set(password);
    const worker = new Worker(new URL(`./kdf-worker.${extension}`, import.meta.url), {
      workerData: job,
      env: {},
    });
    try {
      await finished(worker);
    } finally {
      await worker.terminate();
    }
    const key = allocSecret(dklen);
    key.set(memory.subarray(password.length));
    return key;
  } finally {
    wipe(memory);
  }
}

function finished(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`the worker ended with code ${code}`)),
    );
  });
}
