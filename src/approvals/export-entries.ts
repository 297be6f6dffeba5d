import type { ActDraft } from '../audit/act.ts';
import { CountersignError, type ErrorCode } from '../errors.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';

/** What the log says of exports, and of those that came to nothing. */

export const OPERATION = 'key.export';

/** Errors that end the request. After any other it can be tried again until it expires. */
export const FINAL: ReadonlySet<ErrorCode> = new Set([
  'policy_denied',
  'approval_required',
  'forbidden',
  'key_state',
]);

export function entryOf(key: Key, { version, address }: KeyVersion): Pick<ActDraft, 'key' | 'operation'> {
  const { name, tags } = key;
  return {
    key: { name, version, address, ...(tags.length > 0 && { tags }) },
    operation: OPERATION,
  };
}

export function refusalOf(error: unknown): {
  readonly outcome: 'denied' | 'refused' | 'failed';
  readonly detail: { readonly code: ErrorCode; readonly reason: string };
} {
  const known = error instanceof CountersignError;
  const code = known ? error.code : 'internal';
  const refused = code === 'unprocessable' || FINAL.has(code);
  return {
    outcome: code === 'policy_denied' ? 'denied' : refused ? 'refused' : 'failed',
    detail: { code, reason: known ? error.message : 'an unexpected error' },
  };
}
