import { CountersignError, type ErrorCode, type FieldError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import { PolicyDenied } from '../signer/pipeline.ts';

/** The one table from codes to HTTP. */
export const STATUS_OF: { readonly [code in ErrorCode]: number } = {
  invalid_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  policy_denied: 403,
  approval_required: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  nonce_conflict: 409,
  key_state: 409,
  payload_too_large: 413,
  unprocessable: 422,
  wrong_password: 422,
  limit_exceeded: 429,
  rate_limited: 429,
  internal: 500,
  sealed: 503,
  unavailable: 503,
  timeout: 504,
};

const TITLE_OF: { readonly [code in ErrorCode]: string } = {
  invalid_request: 'The request is not valid',
  unauthenticated: 'No valid credential',
  forbidden: 'The role does not allow this',
  policy_denied: 'The policy denies this',
  approval_required: 'This needs an approval',
  not_found: 'There is no such thing',
  method_not_allowed: 'The method is not allowed here',
  conflict: 'This conflicts with what is there',
  nonce_conflict: 'The nonce is taken by another transaction',
  key_state: 'The key is not in a state for this',
  payload_too_large: 'The request is too large',
  unprocessable: 'Well-formed, but it makes no sense here',
  wrong_password: 'The password does not open it',
  limit_exceeded: 'A limit is used up',
  rate_limited: 'Too many requests',
  internal: 'Something went wrong here',
  sealed: 'The service is sealed',
  unavailable: 'Not available now',
  timeout: 'It took too long',
};

/** RFC 9457 problem details. */
export interface Problem {
  readonly [name: string]: JsonValue | undefined;
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly requestId: string;
}

/** Enough to mend a request by; a body may hold thousands of unknown fields. */
const MAX_FIELD_ERRORS = 100;

/** What the caller is told. Of an error that is not ours, nothing but that there was one. */
export function toProblem(error: unknown, requestId: string): Problem {
  const known = error instanceof CountersignError && error.code !== 'internal' ? error : undefined;
  const code = known?.code ?? 'internal';
  const errors: readonly FieldError[] = known?.errors.slice(0, MAX_FIELD_ERRORS) ?? [];
  return {
    type: `urn:countersign:problem:${code}`,
    title: TITLE_OF[code],
    status: STATUS_OF[code],
    detail: known?.message ?? 'The service could not do this; the request id finds the reason in its log.',
    code,
    requestId,
    ...(errors.length > 0 && { errors: errors.map(({ path, message }) => ({ path, message })) }),
    ...(error instanceof PolicyDenied && { decision: decisionOf(error) }),
  };
}

function decisionOf({ decision }: PolicyDenied): JsonValue {
  const { effect, rule, limit, policyRevision, reason, failed } = decision;
  return {
    effect,
    ...(rule !== undefined && { rule }),
    ...(limit !== undefined && { limit }),
    policyRevision,
    reason,
    ...(failed !== undefined && { failed: failed.map(({ rule, predicate }) => ({ rule, predicate })) }),
  };
}
