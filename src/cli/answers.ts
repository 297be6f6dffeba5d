import type { z } from 'zod';
import type {
  auditEntryShape,
  credentialShape,
  keyShape,
  principalShape,
  problemShape,
  signAnswerShape,
  statusShape,
} from '../http/shapes.ts';

/** What the API answers, as its own schemas have it. */
export type Key = z.output<typeof keyShape>;
export type SignAnswer = z.output<typeof signAnswerShape>;
export type Status = z.output<typeof statusShape>;
export type Principal = z.output<typeof principalShape>;
export type Credential = z.output<typeof credentialShape>;
export type AuditEntry = z.output<typeof auditEntryShape>;
export type Problem = z.output<typeof problemShape>;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Of `POST /v1/principals/{id}/credentials`. */
export interface NewToken {
  readonly id: string;
  readonly token: string;
  readonly expiresAt?: string;
}

/** Of `GET /v1/policy`. */
export interface PolicyAnswer {
  readonly revision: number;
  readonly hash: string;
  readonly document: { readonly [name: string]: unknown };
}
