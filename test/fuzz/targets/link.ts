import assert from 'node:assert/strict';
import { encodeFrame, FrameReader, type Frame } from '../../../src/signer/link.ts';

/** The link between the processes; the first byte says where the stream is cut. Frames do not depend on the cuts. */
export function fuzz(bytes: Uint8Array): void {
  const stream = bytes.subarray(1);
  const whole = read([Buffer.from(stream)]);
  const size = 1 + ((bytes[0] ?? 0) % 16);
  const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, index) =>
    Buffer.from(stream.subarray(index * size, (index + 1) * size)),
  );
  const cut = read(pieces);
  assert.equal(cut.refused, whole.refused);
  if (whole.refused) return;
  assert.deepEqual(cut.frames, whole.frames);
  const written = Buffer.concat(whole.frames);
  assert.deepEqual(written, Buffer.from(stream.subarray(0, written.length)));
}

interface Stream {
  /** Encoded again at once: who handles a frame may wipe it. */
  readonly frames: Buffer[];
  readonly refused: boolean;
}

function read(pieces: readonly Buffer[]): Stream {
  const reader = new FrameReader();
  const frames: Buffer[] = [];
  try {
    for (const piece of pieces) {
      const read: Frame[] = reader.push(piece);
      frames.push(...read.map(encodeFrame));
    }
    return { frames, refused: false };
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('link: '))) throw error;
    return { frames, refused: true };
  }
}
