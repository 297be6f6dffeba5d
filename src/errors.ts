/**
 * The one error type that crosses module boundaries. Its code is from a closed list: the codes of the
 * HTTP API's problem documents, which map them to a status (http/problems.ts). The message is shown to
 * callers and written to the audit log, so it must never carry a secret.
 */
export type ErrorCode =
  | 'invalid_request'
  | 'unauthenticated'
  | 'forbidden'
  | 'policy_denied'
  | 'approval_required'
  | 'not_found'
  | 'method_not_allowed'
  | 'conflict'
  | 'nonce_conflict'
  | 'key_state'
  | 'sealed'
  | 'limit_exceeded'
  | 'rate_limited'
  | 'payload_too_large'
  | 'unprocessable'
  | 'wrong_password'
  | 'timeout'
  | 'unavailable'
  | 'internal';

/** What is wrong with one field of the input; `path` is dotted, as in `transaction.value`. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export class CountersignError extends Error {
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[];

  constructor(code: ErrorCode, message: string, errors: readonly FieldError[] = [], cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'CountersignError';
    this.code = code;
    this.errors = errors;
  }
}

/** An `invalid_request` about one field. */
export function invalidField(path: string, message: string): CountersignError {
  return new CountersignError('invalid_request', `${path}: ${message}`, [{ path, message }]);
}
