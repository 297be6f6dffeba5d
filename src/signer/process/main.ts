import { keccak_256 } from '@noble/hashes/sha3.js';
import { Socket } from 'node:net';
import { asBuffer, wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { checkCheckpointShape } from '../../audit/tree/checkpoint.ts';
import { checkKeyRotationShape } from '../../audit/tree/key-rotation.ts';
import { parseVkey } from '../../audit/tree/note.ts';
import { OPERATIONS } from '../../intent/intent.ts';
import { checkPreimageShape } from '../../intent/shape.ts';
import { at, handleOf, identitySchema, json, newKeySchema, text, type Fields } from './fields.ts';
import { ANSWER, FrameReader, FrameWriter, REQUEST, type Frame } from '../link.ts';
import { SealDesk } from './seal-desk.ts';
import { runSelfTests } from './selftest.ts';
import { TransferDesk } from './transfer-desk.ts';
import { matchTotp, newTotp } from './totp.ts';
import { Vault, type SealedKeyPair } from './vault.ts';

/**
 * The signer process: unseals, decrypts, checks, signs, wipes. It has one inherited socket and nothing else: no
 * network, no storage, no environment. When the socket closes, for whatever reason, it wipes and ends.
 */
const LINK_FD = 3;
const RECEIVE_BYTES = 65_536;

const vault = new Vault();
const sealDesk = new SealDesk(vault);
const transferDesk = new TransferDesk(vault);
const reader = new FrameReader();
// Node's own read buffers are freed as they are: what came in them, a passphrase perhaps, stays in free memory.
const received = Buffer.from(new ArrayBuffer(RECEIVE_BYTES));

function end(code: number): void {
  sealDesk.wipe();
  // What OpenSSL made of a key is wiped when it is collected, and not when the process ends.
  globalThis.gc?.();
  process.exit(code);
}

process.on('SIGTERM', () => end(0));
process.on('uncaughtException', () => end(70));
process.on('unhandledRejection', () => end(70));

const failed = await runSelfTests();
const socket = new Socket({
  fd: LINK_FD,
  readable: true,
  writable: true,
  onread: { buffer: received, callback: receive },
});
socket.on('close', () => end(0));
socket.on('error', () => end(0));
const writer = new FrameWriter(socket);
writer.send({ kind: ANSWER.ready, id: 0, fields: [Buffer.from(JSON.stringify({ failed }))] });

/** Frames outlive the next read, so they get memory of their own; whoever answers them wipes it. */
function receive(length: number): boolean {
  const bytes = received.subarray(0, length);
  const chunk = Buffer.from(new ArrayBuffer(length));
  chunk.set(bytes);
  wipe(bytes);
  for (const frame of reader.push(chunk)) answer(frame);
  return true;
}

function answer(frame: Frame): void {
  try {
    const fields = dispatch(frame);
    if (fields instanceof Promise) {
      void fields.then(
        (fields) => respond(frame, fields),
        (error: unknown) => refuse(frame, error),
      );
    } else respond(frame, fields);
  } catch (error) {
    refuse(frame, error);
  }
}

function respond(frame: Frame, fields: Fields): void {
  wipe(...frame.fields);
  writer.send({ kind: ANSWER.ok, id: frame.id, fields });
  // The frame has a copy, and the secret of a new second factor is among them.
  wipe(...fields);
}

function refuse(frame: Frame, error: unknown): void {
  wipe(...frame.fields);
  const known = error instanceof CountersignError;
  if (!known) process.stderr.write(`signer: ${whereOf(error)}\n`);
  const detail = {
    code: known ? error.code : 'internal',
    message: known ? error.message : 'the signer process could not do that',
    errors: known ? error.errors : [],
  };
  writer.send({ kind: ANSWER.error, id: frame.id, fields: [Buffer.from(JSON.stringify(detail))] });
}

/** The frames of a stack without its message: text that we did not write could carry what it failed on. */
function whereOf(error: unknown): string {
  if (!(error instanceof Error)) return 'a value that is not an error was thrown';
  const frames = error.stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? [];
  return [error.name, ...frames].join('\n');
}

function dispatch(frame: Frame): Fields | Promise<Fields> {
  const { fields } = frame;
  switch (frame.kind) {
    case REQUEST.sign:
      return sign(at(fields, 0), at(fields, 1), at(fields, 2));
    case REQUEST.load:
      vault.load(handleOf(at(fields, 0)), identitySchema.parse(json(at(fields, 1))), at(fields, 2));
      return [];
    case REQUEST.unload:
      vault.unload(handleOf(at(fields, 0)));
      return [];
    case REQUEST.signCheckpoint:
      checkCheckpointShape(at(fields, 1));
      return [vault.signText(handleOf(at(fields, 0)), at(fields, 1))];
    case REQUEST.signKeyRotation:
      return signKeyRotation(handleOf(at(fields, 0)), at(fields, 1));
    case REQUEST.generate:
      return pair(vault.generate(newKeySchema.parse(json(at(fields, 0)))));
    case REQUEST.newTotp:
      return newTotp(vault, text(at(fields, 0)));
    case REQUEST.matchTotp:
      return matchStep(at(fields, 0), at(fields, 1), at(fields, 2), at(fields, 3));
    default:
      return sealDesk.answer(frame) ?? transferDesk.answer(frame) ?? unknown();
  }
}

function unknown(): never {
  throw new CountersignError('internal', 'unknown request');
}

/**
 * The preimage is parsed again here, by other code than wrote it, and hashed here, so that what is signed is what was asked
 * for. A digest is the one thing that is signed as it came. Whether it is a signature is for another process to check.
 */
function sign(handle: Uint8Array, operationByte: Uint8Array, preimage: Uint8Array): Fields {
  const operation = OPERATIONS[asBuffer(operationByte).readUInt8(0)];
  if (operation === undefined) throw new CountersignError('internal', 'unknown operation');
  checkPreimageShape(operation, preimage);
  const digest = operation === 'digest' ? Buffer.from(preimage) : asBuffer(keccak_256(preimage));
  return [vault.signDigest(handleOf(handle), digest)];
}

/** A key of the log speaks only of itself. */
function signKeyRotation(handle: number, preimage: Uint8Array): Fields {
  const { oldVkey } = checkKeyRotationShape(preimage);
  if (!parseVkey(oldVkey).publicKey.equals(vault.ed25519PublicKey(handle))) {
    throw new CountersignError('invalid_request', 'the rotation is one of another key of the log');
  }
  return [vault.signText(handle, preimage)];
}

/** The time step of a one-time code, or no field where it is wrong. */
function matchStep(owner: Uint8Array, sealed: Uint8Array, code: Uint8Array, time: Uint8Array): Fields {
  const now = asBuffer(time).readDoubleBE(0);
  const step = matchTotp(vault, text(owner), sealed, text(code), now);
  if (step === undefined) return [];
  const field = Buffer.alloc(8);
  field.writeDoubleBE(step);
  return [field];
}

function pair({ publicKey, sealed }: SealedKeyPair): Fields {
  return [publicKey, sealed];
}
