import type { Receipt } from '../audit/log.ts';
import { toHex, type Hex } from '../bytes.ts';
import type { Intent, Operation } from '../intent/intent.ts';
import { serializeSigned, transactionHash } from '../intent/preimage.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import type { Decision } from '../policy/decision.ts';
import type { RecoverableSignature } from '../secp256k1.ts';
import { versionOf } from './directory.ts';

/** What the caller gets; the shapes of docs/api and of the HTTP answer. */
export interface SignAnswer {
  readonly [name: string]: JsonValue;
  readonly requestId: string;
  readonly operation: Operation;
  readonly digest: Hex;
  /** r ‖ s ‖ v, 65 bytes, v = 27 + yParity. */
  readonly signature: Hex;
  readonly r: Hex;
  readonly s: Hex;
  readonly yParity: number;
  readonly deprecation?: {
    readonly since: string;
    readonly successor: { readonly version: number; readonly address: Hex };
  };
  readonly receipt: { readonly index: number; readonly leafHash: string };
}

/** A signature in the forms that it goes out in. */
export interface SerializedSignature {
  readonly r: Hex;
  readonly s: Hex;
  readonly yParity: number;
  /** What its audit entry holds. */
  readonly logged: { readonly signature: Hex; readonly transactionHash?: Hex };
  /** What nodes take. */
  readonly rawTransaction?: Hex;
}

/** @param preimage of the intent */
export function serialize(
  intent: Intent,
  preimage: Buffer,
  { r, s, yParity }: RecoverableSignature,
): SerializedSignature {
  const signature = toHex(Buffer.concat([r, s, Buffer.from([27 + yParity])]));
  const parts = { r: toHex(r), s: toHex(s), yParity };
  if (intent.operation !== 'transaction') return { ...parts, logged: { signature } };
  const raw = serializeSigned(intent.transaction, { r, s, yParity }, preimage);
  const hash = toHex(transactionHash(raw));
  return { ...parts, logged: { signature, transactionHash: hash }, rawTransaction: toHex(raw) };
}

interface Signed {
  readonly request: { readonly requestId: string };
  readonly key: Key;
  readonly version: KeyVersion;
  readonly operation: Operation;
  readonly digest: Hex;
}

/** @param now the key as it is when this is logged: another version may have become its primary meanwhile. */
export function answerOf(
  { request, key, version, operation, digest }: Signed,
  now: Key,
  decision: Decision,
  { logged, rawTransaction, ...parts }: SerializedSignature,
  receipt: Receipt,
): SignAnswer {
  return {
    requestId: request.requestId,
    key: { name: key.name, version: version.version, address: version.address },
    operation,
    digest,
    ...logged,
    ...parts,
    ...(rawTransaction !== undefined && { rawTransaction }),
    decision: {
      effect: decision.effect,
      ...(decision.rule !== undefined && { rule: decision.rule }),
      policyRevision: decision.policyRevision,
    },
    ...deprecationOf(now, version),
    receipt: { index: receipt.index, leafHash: receipt.leafHash },
  };
}

/** Of what a superseded version signed: since when it is that, and which version took its place. */
function deprecationOf(now: Key, { version }: KeyVersion): Pick<SignAnswer, 'deprecation'> {
  const { state, supersededAt } = versionOf(now, version);
  if (state !== 'draining' || supersededAt === undefined) return {};
  const { version: primary, address } = versionOf(now, now.primary);
  return { deprecation: { since: supersededAt, successor: { version: primary, address } } };
}
