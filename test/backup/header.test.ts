import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeHead, encodeHead, plainSize, type BackupHeader } from '../../src/backup/header.ts';
import { canonicalize } from '../../src/jcs.ts';

const HEADER: BackupHeader = {
  schema: 1,
  origin: 'countersign.local/0123456789abcdef',
  vkey: 'countersign.local/0123456789abcdef+00000000+AAAA',
  currentVkey: 'countersign.local/0123456789abcdef+00000000+AAAA',
  epoch: 3,
  seal: 'file',
  log: { size: 7, root: 'ab'.repeat(32) },
  checkpoint: null,
  counts: { keys: 1, keyVersions: 2, principals: 3, credentials: 4, policies: 5 },
  createdAt: '2026-11-26T13:16:52.457Z',
  version: '0.1.0',
  parts: [
    { name: 'countersign.db', length: 4096, sha256: '00'.repeat(32) },
    { name: 'seal.key', length: 32, sha256: '11'.repeat(32) },
  ],
};

const head = (change: object): Buffer =>
  Buffer.from(`countersign-backup/v1\n${canonicalize({ ...HEADER, ...change })}\n`);

describe('the header of a backup', () => {
  it('is read as it was written, however much has come of what follows', () => {
    const encoded = encodeHead(HEADER);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (rest) => {
        const found = decodeHead(Buffer.concat([encoded, rest]));
        expect(found).toEqual({ header: HEADER, length: encoded.length });
      }),
    );
    expect(plainSize(HEADER)).toBe(encoded.length + 4096 + 32);
  });

  it('is waited for until it is whole', () => {
    const encoded = encodeHead(HEADER);
    for (let length = 0; length < encoded.length; length++)
      expect(decodeHead(encoded.subarray(0, length)), `${length} bytes`).toBeUndefined();
  });

  it.each([
    ['another first line', Buffer.from('SQLite format 3\n'), 'holds something else'],
    ['no line', Buffer.alloc(100_000, 65), 'holds something else'],
    [
      'a newer version',
      Buffer.from('countersign-backup/v2\n'),
      'format version 2, and this countersign reads 1',
    ],
    ['no version', Buffer.from('countersign-backup/vx\n'), 'names no version'],
    ['no JSON', Buffer.from('countersign-backup/v1\n{\n'), 'not JSON'],
    ['no end', Buffer.from(`countersign-backup/v1\n${'x'.repeat(70_000)}`), 'does not end'],
    [
      'other spelling',
      Buffer.from(`countersign-backup/v1\n${JSON.stringify(HEADER, null, 1).replaceAll('\n', '')}\n`),
      'not canonical',
    ],
    ['an unknown field', head({ more: 1 }), 'more is not a known field'],
    ['a short hash', head({ log: { size: 1, root: 'ab' } }), 'SHA-256'],
    ['a negative size', head({ log: { size: -1, root: 'ab'.repeat(32) } }), 'log.size'],
    ['no database', head({ parts: [HEADER.parts[1]!] }), 'must be the database'],
    ['two databases', head({ parts: [HEADER.parts[0]!, HEADER.parts[0]!] }), 'must be the database'],
    [
      'a long seal key',
      head({ parts: [HEADER.parts[0]!, { ...HEADER.parts[1]!, length: 33 }] }),
      'must be the database',
    ],
    ['no UTF-8', Buffer.concat([Buffer.from('countersign-backup/v1\n'), Buffer.of(0xff, 0x0a)]), 'not UTF-8'],
  ])('with %s is refused', (_, bytes, message) => {
    expect(() => decodeHead(bytes)).toThrow(message);
  });
});
