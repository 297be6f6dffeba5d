import { FrameWriter, type Frame } from '../../src/signer/link.ts';
import { Vault } from '../../src/signer/process/vault.ts';

/**
 * The signer process's own program with faults. A digest that begins with `fa 17` asks for the fault of its third byte; of any
 * other the signature is right.
 */
export const FAULTS = [
  'r',
  's',
  'v',
  'no parity',
  'digest',
  'key',
  'short',
  'zero',
  'late',
  'never',
] as const;

const sign: (this: Vault, handle: number, digest: Uint8Array) => Buffer = Reflect.get(
  Vault.prototype,
  'signDigest',
);
const send: (this: FrameWriter, frame: Frame) => void = Reflect.get(FrameWriter.prototype, 'send');
/** What the next answer waits for, in milliseconds. */
let delay = 0;

Vault.prototype.signDigest = function (handle, digest) {
  const fault = digest[0] === 0xfa && digest[1] === 0x17 ? FAULTS[digest[2] ?? -1] : undefined;
  const signature = sign.call(this, handle, digest);
  switch (fault) {
    case undefined:
      return signature;
    case 'r':
      return flipped(signature, 20);
    case 's':
      return flipped(signature, 50);
    case 'v':
      return flipped(signature, 64);
    case 'no parity':
      signature[64]! += 2;
      return signature;
    case 'digest':
      return sign.call(this, handle, flipped(Buffer.from(digest), 31));
    case 'key':
      // The first key that was loaded: the test asks with another one.
      return sign.call(this, 1, digest);
    case 'short':
      return signature.subarray(0, 64);
    case 'zero':
      return Buffer.alloc(65);
    case 'late':
      delay = 7_000;
      return signature;
    case 'never':
      delay = 2 ** 30;
      return signature;
    default:
      throw new Error(`no such fault: ${String(fault satisfies never)}`);
  }
};

FrameWriter.prototype.send = function (frame) {
  if (delay === 0) return send.call(this, frame);
  const { kind, id, fields } = frame;
  const kept = { kind, id, fields: fields.map((field) => Buffer.from(field)) };
  setTimeout(() => send.call(this, kept), delay);
  delay = 0;
};

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at]! ^= 1;
  return bytes;
}

// Imported from a test for the names of the faults, it is no signer process.
if (process.argv[1] === import.meta.filename) await import('../../src/signer/process/main.ts');
