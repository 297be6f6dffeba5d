import { CountersignError } from '../../errors.ts';
import type { Receipt } from '../log.ts';
import { leafHash, verifyInclusion } from '../tree/merkle.ts';
import { parseNote, type Note } from '../tree/note.ts';
import { parseProof } from '../tree/proof.ts';
import { openCheckpoint } from './checkpoint.ts';

/** What is said to be in the log: the bytes of an entry, its leaf hash (32 bytes), or the receipt of an answer. */
export type Subject =
  { readonly entry: Uint8Array } | { readonly leafHash: Uint8Array } | { readonly receipt: Receipt };

/** What a proof has shown. */
export interface ProvenEntry {
  /** Of the entry, in the log. */
  readonly index: number;
  /** Hex. */
  readonly leafHash: string;
  /** Name of the log, which is that of the key. */
  readonly origin: string;
  /** Entries that the checkpoint covers. */
  readonly size: number;
  /** Of the tree over them, hex. */
  readonly root: string;
  /** The checkpoint's note. Its other signatures were not looked at. */
  readonly note: Note;
}

/**
 * Checks offline that a log has an entry: the tlog-proof is well-formed, its checkpoint is signed by the key, and its
 * path leads from the entry to the checkpoint's root. Everything but the vkey may come from an attacker.
 * @param vkey the verifier key of the log (C2SP signed-note), from elsewhere than the proof.
 * @throws CountersignError `invalid_request` for a malformed proof, subject or vkey; `unprocessable`, with the reason,
 * for a proof that does not hold.
 */
export function verifyProof(proof: Uint8Array | string, subject: Subject, vkey: string): ProvenEntry {
  const { index, path, checkpoint: bytes } = parseProof(proof);
  const leaf = leafOf(subject);
  if ('receipt' in subject && subject.receipt.index !== index) {
    throw fails(`it is of entry ${index}, and the receipt is of entry ${subject.receipt.index}`);
  }
  const checkpoint = openCheckpoint(bytes, vkey);
  if ('problem' in checkpoint) throw fails(`its checkpoint ${checkpoint.message}`);
  const { origin, size, root } = checkpoint;
  if (index >= size) throw fails(`its checkpoint covers ${size} entries, and not entry ${index}`);
  if (!verifyInclusion(index, size, leaf, path, root)) {
    throw fails(`its path does not lead from this entry, as entry ${index}, to the root of its checkpoint`);
  }
  const hashes = { leafHash: leaf.toString('hex'), root: root.toString('hex') };
  return { index, origin, size, ...hashes, note: parseNote(bytes) };
}

function leafOf(subject: Subject): Buffer {
  if ('entry' in subject) return leafHash(subject.entry);
  const given =
    'receipt' in subject ? subject.receipt.leafHash : Buffer.from(subject.leafHash).toString('hex');
  if (/^[0-9a-f]{64}$/.test(given)) return Buffer.from(given, 'hex');
  throw new CountersignError(
    'invalid_request',
    'a leaf hash has 32 bytes, in lower-case hex where it is text',
  );
}

function fails(why: string): CountersignError {
  return new CountersignError('unprocessable', `the proof does not hold: ${why}`);
}
