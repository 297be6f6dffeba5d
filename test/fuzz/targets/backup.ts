import assert from 'node:assert/strict';
import { decodeHead, encodeHead, plainSize } from '../../../src/backup/header.ts';
import { attempt } from '../attempt.ts';

/** The head of a backup, once age has opened it: what is taken is written again byte for byte; a piece of it is never taken. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const head = attempt(['unprocessable'], () => decodeHead(bytes));
  if (head === undefined) return;
  assert.deepEqual(encodeHead(head.header), bytes.subarray(0, head.length));
  assert.ok(plainSize(head.header) >= head.length);
  assert.equal(decodeHead(bytes.subarray(0, head.length - 1)), undefined);
}
