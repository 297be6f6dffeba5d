import assert from 'node:assert/strict';
import { ParsedMessage } from '@spruceid/siwe-parser';
import { looksLikeSiwe, parseSiwe } from '../../../src/effects/siwe.ts';
import { textOf } from '../attempt.ts';

/** Sign-in messages (EIP-4361): what is taken is read alike by the library of its authors; what that takes is never plain text. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const ours = parseSiwe(text);
  const theirs = readWithTheirs(text);
  if (theirs !== undefined) assert.ok(ours !== undefined || looksLikeSiwe(text), 'taken for plain text');
  if (ours === undefined) return;
  assert.ok(theirs !== undefined, 'not a message to the library of the standard');
  assert.equal(theirs.domain, ours.domain);
  assert.equal(theirs.address.toLowerCase(), ours.address);
  assert.equal(theirs.uri, ours.uri);
  assert.equal(BigInt(theirs.chainId), BigInt(Number(ours.chainId)));
  assert.equal(theirs.nonce, ours.nonce);
  assert.equal(theirs.issuedAt, ours.issuedAt);
  assert.equal(theirs.statement ?? undefined, ours.statement);
  assert.deepEqual(theirs.resources ?? [], ours.resources);
}

function readWithTheirs(text: string): ParsedMessage | undefined {
  try {
    return new ParsedMessage(text);
  } catch {
    return undefined;
  }
}
