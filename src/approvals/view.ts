import { toHex } from '../bytes.ts';
import { decodeEffects } from '../effects/decode.ts';
import type { PolicyIntent } from '../effects/effect.ts';
import { describeIntent, type DescriptionContext } from '../effects/describe.ts';
import { digestOf, preimageOf } from '../intent/preimage.ts';
import { parseIntent } from '../intent/schema.ts';
import type { JsonValue } from '../jcs.ts';
import { progressOf } from './quorum.ts';
import type { RequestStatus, SigningRequest, Vote } from './request.ts';
import { voteToJson } from './voting.ts';

export type RequestJson = { readonly [name: string]: JsonValue };

/** Notes of these say why it is so; a note of an execution that did not succeed is settled by one that does. */
const NOTED: ReadonlySet<RequestStatus> = new Set(['approved', 'void', 'failed']);
/** Past these, no vote is missing any more. */
const DECIDING: ReadonlySet<RequestStatus> = new Set(['pending', 'approved']);

export interface Viewer {
  /** The result is for the requester alone. */
  readonly principalId: string;
  readonly tokens: DescriptionContext['tokens'];
}

function intentOf({ operation, intent }: SigningRequest): PolicyIntent {
  return operation === 'key.export' ? { operation } : parseIntent(operation, intent);
}

/** What people see of a request: all that is needed to decide, in words and as it would be signed. */
export function requestToJson(
  request: SigningRequest,
  status: RequestStatus,
  standing: readonly Vote[],
  { principalId, tokens }: Viewer,
): RequestJson {
  const { id, requester, key, operation, intentHash, reason, breakGlass, approvals, votes } = request;
  const { policyRevision, policyHash, createdAt, expiresAt, note, result } = request;
  const intent = intentOf(request);
  const counted = DECIDING.has(status) ? standing : votes;
  const own = principalId === requester.id;
  return {
    id,
    status,
    requester: {
      id: requester.id,
      name: requester.name,
    },
    key: {
      name: key.name,
      version: key.version,
      address: key.address,
    },
    operation,
    description: describeIntent(intent, decodeEffects(intent, key.address), { tokens }),
    intent: request.intent,
    intentHash,
    ...(intent.operation !== 'key.export' && {
      digest: toHex(digestOf(intent.operation, preimageOf(intent))),
    }),
    reason,
    ...(breakGlass !== undefined && { breakGlass }),
    policyRevision,
    policyHash,
    approval: { ...progressOf(approvals, counted, requester.id) },
    votes: votes.map(voteToJson),
    createdAt,
    expiresAt,
    ...(note !== undefined && NOTED.has(status) && { note }),
    ...(result !== undefined && own && { result }),
  };
}
