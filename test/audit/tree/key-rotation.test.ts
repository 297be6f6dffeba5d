import { describe, expect, it } from 'vitest';
import { checkCheckpointShape, formatCheckpoint } from '../../../src/audit/tree/checkpoint.ts';
import {
  checkKeyRotationShape,
  formatKeyRotation,
  parseKeyRotation,
} from '../../../src/audit/tree/key-rotation.ts';
import { notary } from '../memory-log.ts';

const oldVkey = notary('example.com/log').vkey;
const newVkey = notary('example.com/log').vkey;
const root = Buffer.alloc(32, 7);
const rotation = { size: 12, root, oldVkey, newVkey };
const text = formatKeyRotation(rotation);

describe('the rotation of a log’s key', () => {
  it('is five lines', () => {
    expect(text).toBe(
      `countersign audit log key rotation v1\n12\n${root.toString('base64')}\n${oldVkey}\n${newVkey}\n`,
    );
    expect(parseKeyRotation(text)).toEqual(rotation);
    expect(checkKeyRotationShape(Buffer.from(text))).toEqual(rotation);
  });

  it('is never a checkpoint, nor a checkpoint a rotation', () => {
    expect(() => checkCheckpointShape(Buffer.from(text))).toThrow(/white space/);
    const checkpoint = formatCheckpoint({ origin: 'example.com/log', size: 12, root });
    expect(() => checkKeyRotationShape(Buffer.from(checkpoint))).toThrow(/five lines/);
    const disguised = formatCheckpoint({ origin: 'countersign audit log key rotation v1', size: 12, root });
    expect(() => checkCheckpointShape(Buffer.from(disguised))).toThrow(/white space/);
  });

  it.each([
    ['another heading', text.replace('v1', 'v2')],
    ['a line more', `${text}x\n`],
    ['an empty line more', `${text}\n`],
    ['no newline at the end', text.slice(0, -1)],
    ['a leading zero', text.replace('\n12\n', '\n012\n')],
    ['a negative size', text.replace('\n12\n', '\n-12\n')],
    ['a size that is not exact', text.replace('\n12\n', '\n9007199254740993\n')],
    ['no size', text.replace('\n12\n', '\n\n')],
    ['a short root', text.replace(root.toString('base64'), Buffer.alloc(31).toString('base64'))],
    ['a root in other base64', text.replace('=\n', '\n')],
    ['a key of another log', text.replace(newVkey, notary('example.com/other').vkey)],
    ['one key twice', text.replace(newVkey, oldVkey)],
    ['no key', text.replace(newVkey, '')],
    ['carriage returns', text.replaceAll('\n', '\r\n')],
  ])('is refused with %s', (_name, damaged) => {
    expect(damaged).not.toBe(text);
    expect(() => checkKeyRotationShape(Buffer.from(damaged))).toThrow(/rotation of a log's key|verifier key/);
  });

  it('is refused when it is long, or not UTF-8', () => {
    expect(() => checkKeyRotationShape(Buffer.alloc(5_000, 'x'))).toThrow(/too long/);
    expect(() => checkKeyRotationShape(Buffer.concat([Buffer.from(text), Buffer.of(0xff)]))).toThrow(/UTF-8/);
  });

  it('cannot be written with nonsense', () => {
    expect(() => formatKeyRotation({ ...rotation, size: -1 })).toThrow(/no size/);
    expect(() => formatKeyRotation({ ...rotation, root: Buffer.alloc(31) })).toThrow(/32 bytes/);
  });
});
