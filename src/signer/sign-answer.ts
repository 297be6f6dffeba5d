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
  readonly [name: string]: JsonValue | undefined;
  readonly requestId: string;
  readonly operation: Operation;
  readonly digest: Hex;
  /** r ‖ s ‖ v, 65 bytes, v = 27 + yParity. */
  readonly signature: Hex;
  readonly r: Hex;
  readonly s: Hex;
  readonly yParity: number;
  readonly deprecation?:
    | {
        readonly since: string;
        readonly successor: { readonly version: number; readonly address: Hex };
      }
    | undefined;
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
  const parts = { r: toHex(r), s: toHex(s), yParity };
  const signature: Hex = `${parts.r}${parts.s.slice(2)}${(27 + yParity).toString(16)}`;
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
  { effect, rule, policyRevision }: Decision,
  { r, s, yParity, logged: { signature, transactionHash }, rawTransaction }: SerializedSignature,
  { index, leafHash }: Receipt,
): SignAnswer {
  // Members that are undefined are not in its JSON, as if they were not there.
  return {
    requestId: request.requestId,
    key: { name: key.name, version: version.version, address: version.address },
    operation,
    digest,
    signature,
    transactionHash,
    r,
    s,
    yParity,
    rawTransaction,
    decision: { effect, rule, policyRevision },
    deprecation: deprecationOf(now, version),
    receipt: { index, leafHash },
  };
}

/** Of what a superseded version signed: since when it is that, and which version took its place. */
function deprecationOf(now: Key, { version }: KeyVersion): SignAnswer['deprecation'] {
  const { state, supersededAt } = versionOf(now, version);
  if (state !== 'draining' || supersededAt === undefined) return undefined;
  const { version: primary, address } = versionOf(now, now.primary);
  return { since: supersededAt, successor: { version: primary, address } };
}
