import type { Inbound } from '../outbound.ts';

/** The `add-checkpoint` call of https://c2sp.org/tlog-witness: what is sent, and what answers mean. */

/** Room for several signatures, also of kinds that are not counted here. */
export const MAX_ANSWER_BYTES = 64 * 1024;

/** @param note a checkpoint, signed by the log. */
export function formatAddCheckpoint(oldSize: number, proof: readonly Buffer[], note: string): Buffer {
  const hashes = proof.map((hash) => `${hash.toString('base64')}\n`).join('');
  return Buffer.from(`old ${oldSize}\n${hashes}\n${note}`, 'utf8');
}

export type WitnessAnswer =
  /** Signature lines, not verified. */
  | { readonly kind: 'signed'; readonly lines: string }
  /** The witness's newest checkpoint has this size; or, where none is given, the size that was sent and another root. */
  | { readonly kind: 'conflict'; readonly size: number | undefined }
  /** The proof does not lead from what the witness holds to the checkpoint. */
  | { readonly kind: 'inconsistent' }
  /** Another try is no use before somebody has done something. */
  | { readonly kind: 'refused'; readonly problem: string }
  | { readonly kind: 'failed'; readonly problem: string };

const REFUSALS: { readonly [status: number]: string } = {
  400: 'it finds the request malformed (HTTP 400)',
  403: 'it does not trust the key that signs the checkpoints (HTTP 403): its operator needs the vkey of this log',
  404: 'it does not know this log (HTTP 404): its operator needs the vkey of this log; or the URL is wrong',
};

export function readAnswer({ status, mediaType, body }: Inbound): WitnessAnswer {
  if (status === 200) return { kind: 'signed', lines: body.toString('utf8') };
  if (status === 409) return { kind: 'conflict', size: readSize(mediaType, body) };
  if (status === 422) return { kind: 'inconsistent' };
  const refusal = REFUSALS[status];
  if (refusal !== undefined) return { kind: 'refused', problem: refusal };
  if (status >= 300 && status < 400) {
    return {
      kind: 'refused',
      problem: `it redirects (HTTP ${status}), which is not followed: give its own URL`,
    };
  }
  return { kind: 'failed', problem: `HTTP ${status}` };
}

function readSize(mediaType: string, body: Buffer): number | undefined {
  const [, digits] = /^(0|[1-9][0-9]{0,15})\n$/.exec(body.toString('latin1')) ?? [];
  const size = Number(digits);
  return mediaType === 'text/x.tlog.size' && Number.isSafeInteger(size) ? size : undefined;
}
