/**
 * Memory that the API process's main thread shares with its checker: a ring of signatures to check. One writes records and says
 * how many there are, the other writes verdicts and says how many are done. Everything in it is public.
 *
 *     i32 put, i32 done (both count on, modulo 2^32) ‖ padding to 64 bytes ‖ CAPACITY records
 *
 *     record: digest (32) ‖ r ‖ s ‖ yParity (65) ‖ public key (65) ‖ verdict (1) ‖ padding to 192
 */
export interface Ring {
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly records: Uint8Array<SharedArrayBuffer>;
}

/** Indexes into `control`. */
export const PUT = 0;
export const DONE = 1;

export const CAPACITY = 4_096;
export const RECORD_BYTES = 192;
/** Offsets in a record. */
export const DIGEST = 0;
export const SIGNATURE = 32;
export const PUBLIC_KEY = 97;
export const VERDICT = 162;

/** A record begins with none, so that one that nobody looked at is not taken for a good one. */
export const VERDICTS = { none: 0, holds: 1, refused: 2 } as const;

const CONTROL_BYTES = 64;
const RING_BYTES = CONTROL_BYTES + CAPACITY * RECORD_BYTES;

export function newRingMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_BYTES);
}

export function ringIn(memory: SharedArrayBuffer): Ring {
  return {
    control: new Int32Array(memory, 0, CONTROL_BYTES / 4),
    records: new Uint8Array(memory, CONTROL_BYTES),
  };
}

/** Where the record of this count begins. */
export function recordAt(count: number): number {
  return ((count >>> 0) % CAPACITY) * RECORD_BYTES;
}
