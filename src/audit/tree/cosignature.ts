import {
  parseNote,
  parseVkeyOf,
  signaturesOf,
  verifyEd25519,
  type Note,
  type Signature,
  type VerifierKey,
} from './note.ts';

/**
 * Cosignatures of witnesses, https://c2sp.org/tlog-cosignature, of the Ed25519 type (0x04). Lines of the ML-DSA-44 type
 * (0x06) are signatures of unknown keys here: they are ignored, and their vkeys are refused.
 */
const COSIGNATURE_V1 = 0x04;
/** `timestamped_signature`: a big-endian u64, and 64 bytes of Ed25519. */
const TIMESTAMP_BYTES = 8;
const MAX_TIMESTAMP = 2n ** 63n - 1n;

/** A witness's word for a checkpoint, verified. */
export interface Cosignature {
  /** As it stands in the note. */
  readonly line: Signature;
  /** When the witness saw it, POSIX seconds, by its own clock. */
  readonly timestamp: bigint;
}

/** @throws CountersignError `invalid_request`, also for keys of another type, such as those of logs (0x01). */
export function parseWitnessVkey(vkey: string): VerifierKey {
  return parseVkeyOf(COSIGNATURE_V1, vkey);
}

/**
 * The witness's cosignatures on a note. None when it has not cosigned, or when a line that claims to be by its key is
 * not valid: such a note is to be refused (signed-note), so nothing of this key in it counts.
 */
export function cosignaturesOf(note: Note, key: VerifierKey): Cosignature[] {
  const found: Cosignature[] = [];
  for (const line of signaturesOf(note, key)) {
    const timestamp = verifiedTime(note.text, line, key);
    if (timestamp === undefined) return [];
    found.push({ line, timestamp });
  }
  return found;
}

/** Which of the witnesses have cosigned a note. */
export interface CosignatureCount {
  /** Each public key counts once. */
  readonly count: number;
  /** Names of the keys, in the order of the vkeys. */
  readonly names: readonly string[];
}

/**
 * For a policy of k of n: how many of these witnesses vouch for the note. Lines of others are ignored. Whether the log
 * itself signed it is for `verifyNote`.
 * @throws CountersignError `invalid_request` for a malformed note or vkey, also for vkeys that are not of witnesses.
 */
export function countCosignatures(note: Note | string, vkeys: readonly string[]): CosignatureCount {
  const parsed = typeof note === 'string' ? parseNote(note) : note;
  const counted = new Map<string, string>();
  for (const key of vkeys.map(parseWitnessVkey)) {
    // One key under two names is one witness: what is signed does not say the name.
    const id = key.publicKey.toString('hex');
    if (!counted.has(id) && cosignaturesOf(parsed, key).length > 0) counted.set(id, key.name);
  }
  return { count: counted.size, names: [...counted.values()] };
}

function verifiedTime(text: string, { signature: bytes }: Signature, key: VerifierKey): bigint | undefined {
  if (bytes.length < TIMESTAMP_BYTES) return undefined;
  const timestamp = bytes.readBigUInt64BE(0);
  if (timestamp > MAX_TIMESTAMP) return undefined;
  const message = Buffer.from(`cosignature/v1\ntime ${timestamp}\n${text}`, 'utf8');
  return verifyEd25519(message, key.publicKey, bytes.subarray(TIMESTAMP_BYTES)) ? timestamp : undefined;
}
