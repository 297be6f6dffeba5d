import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import {
  canonicalAddress,
  cidrProblem,
  clientAddress,
  isWithin,
  originOf,
} from '../../../src/access/networks.ts';
import { textOf } from '../attempt.ts';

const PEER = '10.0.0.1';
const PROXIES = ['10.0.0.0/8', 'fd00::/8'];

/** Addresses and networks, as headers and callers write them: one spelling for each, and an origin that holds it. */
export function fuzz(bytes: Uint8Array): void {
  const text = textOf(bytes);
  const address = canonicalAddress(text);
  if (address !== undefined) {
    assert.notEqual(isIP(address), 0);
    assert.equal(canonicalAddress(address), address);
    const origin = originOf(address);
    if (origin !== address) {
      assert.equal(cidrProblem(origin), undefined);
      assert.ok(isWithin([origin], address), `${address} is not in ${origin}`);
    }
    // A zone may hold anything, and a header is cut at commas first.
    if (!text.includes(',')) assert.equal(clientAddress(PEER, `${text}, 10.1.1.1`, PROXIES), address);
  }
  // Whatever the header says, what is counted is an address in its one spelling.
  const client = clientAddress(PEER, text, PROXIES);
  assert.equal(canonicalAddress(client), client);
  assert.equal(clientAddress('192.0.2.1', text, PROXIES), '192.0.2.1');
  if (cidrProblem(text) === undefined) assert.equal(typeof isWithin([text], PEER), 'boolean');
}
