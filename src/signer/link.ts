import type { Socket } from 'node:net';
import { wipe } from '../bytes.ts';

/**
 * The wire between the API process and the signer process: length-prefixed frames over an inherited
 * socketpair; those of one turn of the event loop are written together, so that a burst of requests costs few system calls.
 *
 *     u32 length of the rest ‖ u8 kind ‖ u32 id ‖ { u32 length ‖ bytes }*
 *
 * Both ends are ours, so a frame that does not parse is a fault: the reader throws and the process that owns
 * it gives the link up.
 */
export interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly fields: readonly Uint8Array[];
}

/** Requests, API process to signer process. */
export const REQUEST = {
  createKeyring: 1,
  unseal: 2,
  seal: 3,
  generate: 4,
  importPrivateKey: 5,
  importKeystore: 6,
  load: 7,
  sign: 8,
  signCheckpoint: 9,
  newTotp: 10,
  matchTotp: 11,
  signKeyRotation: 12,
  giveShare: 30,
  dropShares: 31,
  prepareTerm: 32,
  useTerm: 33,
  startRekey: 34,
  authorizeRekey: 35,
  verifyRekey: 36,
  adoptRekey: 37,
  cancelRekey: 38,
  rewrap: 39,
  unload: 13,
  newWrappingKey: 50,
  importWrapped: 51,
  exportKeystore: 52,
  exportWrapped: 53,
} as const;

/** Answers, signer process to API process; `ready` comes once, unasked, after the self-tests. */
export const ANSWER = { ready: 128, ok: 129, error: 130 } as const;

/** In place of a new blob: it is sealed under the newest term already, or it does not open. */
export const REWRAP = { newest: 0, closed: 1 } as const;

/** The longest frame: a preimage is at most a little over the 128 KiB of calldata that an intent may carry. */
export const MAX_FRAME_BYTES = 1 << 20;

/** What the fields of one request may take together, with room for their lengths. */
export const MAX_FIELD_BYTES = MAX_FRAME_BYTES - 1024;

const HEADER_BYTES = 9;

export function encodeFrame(frame: Frame): Buffer {
  // Not `allocUnsafeSlow`: 64 bytes and less would lie in the JavaScript heap, where no wipe reaches every copy.
  const bytes = Buffer.from(new ArrayBuffer(lengthOf(frame)));
  putFrame(frame, bytes, 0);
  return bytes;
}

function lengthOf({ fields }: Frame): number {
  let length = HEADER_BYTES;
  for (const field of fields) length += 4 + field.length;
  return length;
}

/** Returns where it ends. */
function putFrame(frame: Frame, bytes: Buffer, start: number): number {
  const { kind, id, fields } = frame;
  let offset = bytes.writeUInt32BE(lengthOf(frame) - 4, start);
  offset = bytes.writeUInt8(kind, offset);
  offset = bytes.writeUInt32BE(id, offset);
  for (const field of fields) {
    offset = bytes.writeUInt32BE(field.length, offset);
    bytes.set(field, offset);
    offset += field.length;
  }
  return offset;
}

const NOTHING = Buffer.alloc(0);

/** Cuts a byte stream into frames. The fields of a frame are views of memory that the reader owns. */
export class FrameReader {
  #pending: Buffer = NOTHING;

  /** The frames that this chunk completes. Throws when the stream is not ours. */
  push(chunk: Buffer): Frame[] {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    if (bytes !== chunk) wipe(this.#pending, chunk);
    const frames: Frame[] = [];
    let offset = 0;
    while (bytes.length - offset >= 4) {
      const length = bytes.readUInt32BE(offset);
      if (length < HEADER_BYTES - 4 || length > MAX_FRAME_BYTES)
        throw new Error(`link: bad frame length ${length}`);
      if (bytes.length - offset < 4 + length) break;
      frames.push(decodeFrame(bytes.subarray(offset + 4, offset + 4 + length)));
      offset += 4 + length;
    }
    // A copy: the chunk may be wiped by whoever handles its frames.
    const rest = bytes.subarray(offset);
    this.#pending = rest.length === 0 ? NOTHING : Buffer.from(rest);
    wipe(rest);
    return frames;
  }
}

function decodeFrame(body: Buffer): Frame {
  const fields: Buffer[] = [];
  let offset = HEADER_BYTES - 4;
  while (offset < body.length) {
    if (body.length - offset < 4) throw new Error('link: truncated field');
    const length = body.readUInt32BE(offset);
    offset += 4;
    if (body.length - offset < length) throw new Error('link: truncated field');
    fields.push(body.subarray(offset, offset + length));
    offset += length;
  }
  return { kind: body.readUInt8(0), id: body.readUInt32BE(1), fields };
}

const BLOCK_BYTES = 65_536;
/** Blocks that wait for their next use; more are made only while the other end does not read. */
const MAX_SPARE_BLOCKS = 4;
/** With fewer, a write waits for a turn that brings none. */
const WORTH_WRITING = 4;
/** Of many requests in one turn, the first are answered while the last are still being made. */
const FRAMES_AT_ONCE = 64;

/**
 * Writes the frames of a turn of the event loop together, and of a few turns while each brings more, and of many each {@link FRAMES_AT_ONCE}. Frames may carry passphrases
 * and imported keys: they are put together outside the JavaScript heap, in memory that is wiped once they are written.
 */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #spare: Buffer<ArrayBuffer>[] = [];
  #block = newBlock(BLOCK_BYTES);
  #used = 0;
  #frames = 0;
  #due = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(frame: Frame): void {
    const length = lengthOf(frame);
    if (length > this.#block.length - this.#used) {
      this.flush();
      if (length > this.#block.length) {
        this.#keep(this.#block);
        this.#block = newBlock(length);
      }
    }
    this.#used = putFrame(frame, this.#block, this.#used);
    this.#frames += 1;
    if (this.#frames === FRAMES_AT_ONCE) this.flush();
    else if (!this.#due) {
      this.#due = true;
      this.#flushSoon();
    }
  }

  /** A write wakes the other process: a few frames wait for each other while every turn brings more. */
  #flushSoon(): void {
    const frames = this.#frames;
    setImmediate(() => {
      if (this.#frames > frames && this.#frames < WORTH_WRITING) {
        this.#flushSoon();
        return;
      }
      this.#due = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#used === 0) return;
    const block = this.#block;
    const bytes = block.subarray(0, this.#used);
    this.#block = this.#spare.pop() ?? newBlock(BLOCK_BYTES);
    this.#used = 0;
    this.#frames = 0;
    const written = (): void => {
      wipe(bytes);
      this.#keep(block);
    };
    if (this.#socket.writable) this.#socket.write(bytes, written);
    else written();
  }

  #keep(block: Buffer<ArrayBuffer>): void {
    if (block.length === BLOCK_BYTES && this.#spare.length < MAX_SPARE_BLOCKS) this.#spare.push(block);
  }
}

function newBlock(length: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(length));
}
