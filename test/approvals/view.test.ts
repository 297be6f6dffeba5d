import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intentHashOf } from '../../src/approvals/book.ts';
import type { RequestStatus, SigningRequest, Vote } from '../../src/approvals/request.ts';
import { requestToJson, type RequestJson } from '../../src/approvals/view.ts';
import { toHex } from '../../src/bytes.ts';
import { intentToJson } from '../../src/intent/codec.ts';
import type { Intent } from '../../src/intent/intent.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { canonicalize, type JsonValue } from '../../src/jcs.ts';
import { SIGNER } from '../effects/intents.ts';
import { arbitraryIntent } from '../intent/arbitrary.ts';
import { policyRequest } from '../policy/arbitrary-requests.ts';
import { message } from './desk.ts';

const VOTE: Vote = {
  principalId: 'p2',
  name: 'ann',
  roles: ['approver'],
  verdict: 'approve',
  otp: true,
  mtls: false,
  time: '2030-01-01T01:00:00.000Z',
};

function requestOf(intent: Intent, over: Partial<SigningRequest> = {}): SigningRequest {
  const bound = {
    requester: { id: 'p1', name: 'payroll' },
    key: { id: 'k1', name: 'treasury', version: 1, address: SIGNER },
    operation: intent.operation,
    // As it comes back from storage.
    intent: JSON.parse(canonicalize(intentToJson(intent))) as JsonValue,
  };
  return {
    id: 'r1',
    status: 'pending',
    source: { address: undefined, mtls: false },
    ...bound,
    intentHash: intentHashOf(bound),
    policyRevision: 3,
    policyHash: 'cd'.repeat(32),
    approvals: [
      {
        name: 'big',
        all: [{ role: 'approver', m: 2 }],
        distinct: true,
        excludeRequester: true,
        ttl: 1,
        rejects: 1,
      },
    ],
    reason: 'rule "big" requires approval',
    votes: [],
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: '2030-01-01T04:00:00.000Z',
    ...over,
  };
}

function show(
  request: SigningRequest,
  status: RequestStatus = request.status,
  principalId = 'p1',
): RequestJson {
  return requestToJson(request, status, request.votes, { principalId, tokens: new Map() });
}

/** Policies are asked about more than any route takes. */
function isTaken(intent: Intent): boolean {
  try {
    parseIntent(intent.operation, intentToJson(intent));
    return true;
  } catch {
    return false;
  }
}

/** Whatever is asked for: with what tokens, batches and permits do, and with calldata that nobody can read. */
const intents = fc.oneof(
  arbitraryIntent(),
  policyRequest
    .map(({ intent }) => intent)
    .filter((intent): intent is Intent => intent.operation !== 'key.export')
    .filter(isTaken),
);
const RUNS = Math.min(20_000, Number(process.env['POLICY_CASES'] ?? 1_000));

describe('what people see of a request', () => {
  it('is there for every intent, and has the digest that will be signed', () => {
    fc.assert(
      fc.property(intents, (intent) => {
        const shown = show(requestOf(intent));
        expect(shown['digest']).toBe(toHex(digestOf(intent.operation, preimageOf(intent))));
        expect(shown['description']).not.toEqual([]);
        // It is written in a commit: what can't be must be found out before.
        expect(() => canonicalize(shown)).not.toThrow();
      }),
      { numRuns: RUNS },
    );
  });

  it('is bound by a hash to requester, key, version, operation and intent', () => {
    const base = requestOf(message());
    const { requester, key } = base;
    const others: readonly Partial<SigningRequest>[] = [
      { requester: { ...requester, id: 'p9' } },
      { key: { ...key, id: 'k9' } },
      { key: { ...key, version: 2 } },
      { operation: 'digest' },
      { intent: { data: '0x00' } },
    ];
    const hashes = others.map((over) => intentHashOf({ ...base, ...over }));
    expect(new Set([base.intentHash, ...hashes]).size).toBe(others.length + 1);
    // Names are for people: the id is what counts.
    expect(intentHashOf({ ...base, requester: { ...requester, name: 'x' } })).toBe(base.intentHash);
  });

  it('is the same hash for the same intent only', () => {
    fc.assert(
      fc.property(intents, intents, (one, other) => {
        const [a, b] = [requestOf(one), requestOf(other)];
        const same = one.operation === other.operation && canonicalize(a.intent) === canonicalize(b.intent);
        expect(a.intentHash === b.intentHash).toBe(same);
      }),
      { numRuns: RUNS },
    );
  });

  it('has the result for the requester, and for nobody else', () => {
    const request = requestOf(message(), { status: 'signed', result: { signature: '0x00' } });
    expect(show(request)['result']).toEqual({ signature: '0x00' });
    expect(show(request, 'signed', 'p2')['result']).toBeUndefined();
  });

  it('has a note where it says why, and none of an execution that was made up for', () => {
    const request = requestOf(message(), { note: 'the service is sealed' });
    const noted = (status: RequestStatus): unknown => show(request, status)['note'];
    for (const status of ['approved', 'void', 'failed'] as const) expect(noted(status)).toBe(request.note);
    for (const status of ['pending', 'signed', 'cancelled'] as const) expect(noted(status)).toBeUndefined();
  });

  it('counts the votes that stand while it is open, and those that there were once it is decided', () => {
    const request = requestOf(message(), { votes: [VOTE] });
    const missing = (status: RequestStatus): unknown =>
      requestToJson(request, status, [], { principalId: 'p1', tokens: new Map() })['approval'];
    expect(missing('pending')).toMatchObject({ missing: [{ have: 0 }] });
    expect(missing('signed')).toMatchObject({ missing: [{ have: 1 }] });
    expect(show(request)['votes']).toEqual([
      { name: 'ann', verdict: 'approve', otp: true, mtls: false, time: VOTE.time },
    ]);
  });
});
