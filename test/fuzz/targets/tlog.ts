import assert from 'node:assert/strict';
import {
  checkCheckpointShape,
  formatCheckpoint,
  parseCheckpoint,
} from '../../../src/audit/tree/checkpoint.ts';
import { countCosignatures } from '../../../src/audit/tree/cosignature.ts';
import { checkKeyRotationShape, formatKeyRotation } from '../../../src/audit/tree/key-rotation.ts';
import { formatNote, formatVkey, parseNote, parseVkey, verifyNote } from '../../../src/audit/tree/note.ts';
import { formatProof, parseProof } from '../../../src/audit/tree/proof.ts';
import { formatBundle, formatTileName, parseBundle, parseTileName } from '../../../src/audit/tree/tiles.ts';
import { attempt, textOf } from '../attempt.ts';

const REFUSALS = ['invalid_request'] as const;
const VKEY = formatVkey('example.com/log', Buffer.alloc(32, 7));
const WITNESS = 'w+f26ca44c+BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH';

/** C2SP notes, checkpoints, proofs, tiles and keys: what is taken is written again byte for byte, and nothing verifies. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const same = (written: string): void => assert.deepEqual(Buffer.from(written, 'utf8'), Buffer.from(bytes));

  const note = attempt(REFUSALS, () => parseNote(bytes));
  if (note !== undefined) {
    same(formatNote(note.text, note.signatures));
    assert.equal(verifyNote(note, VKEY), false);
    attempt(REFUSALS, () => assert.equal(countCosignatures(note, [WITNESS]).count, 0));
    attempt(REFUSALS, () => parseCheckpoint(note.text));
  }
  const proof = attempt(REFUSALS, () => parseProof(bytes));
  if (proof !== undefined) same(formatProof(proof));

  // What the key of the log signs is one or the other.
  const checkpoint = attempt(REFUSALS, () => checkCheckpointShape(bytes));
  const rotation = attempt(REFUSALS, () => checkKeyRotationShape(bytes));
  if (checkpoint !== undefined) same(formatCheckpoint(checkpoint));
  if (rotation !== undefined) same(formatKeyRotation(rotation));
  assert.ok(checkpoint === undefined || rotation === undefined);

  const vkey = attempt(REFUSALS, () => parseVkey(text));
  if (vkey !== undefined) assert.equal(formatVkey(vkey.name, vkey.publicKey), text);
  const tile = attempt(REFUSALS, () => parseTileName(text));
  if (tile !== undefined) assert.equal(formatTileName(tile), text);
  const bundle = attempt(REFUSALS, () => parseBundle(Buffer.from(bytes.subarray(1)), bytes[0] ?? 0));
  if (bundle !== undefined) assert.deepEqual(formatBundle(bundle), Buffer.from(bytes.subarray(1)));
}
