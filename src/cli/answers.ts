import type { z } from 'zod';
import type { rotationPreviewShape, rotationShape } from '../http/rotation-shapes.ts';
import type { exportedShape, importedShape, keyShape } from '../http/key-shapes.ts';
import type {
  auditEntryShape,
  credentialShape,
  pendingAnswerShape,
  principalShape,
  problemShape,
  progressShape,
  proposalShape,
  requestShape,
  signAnswerShape,
} from '../http/shapes.ts';
import type { statusShape } from '../http/status-shapes.ts';

/** What the API answers, as its own schemas have it. */
export type Key = z.output<typeof keyShape>;
export type ImportedKey = z.output<typeof importedShape>;
export type ExportedKey = z.output<typeof exportedShape>;
export type SignAnswer = z.output<typeof signAnswerShape>;
export type PendingAnswer = z.output<typeof pendingAnswerShape>;
export type SigningRequest = z.output<typeof requestShape>;
export type Proposal = z.output<typeof proposalShape>;
export type ApprovalProgress = z.output<typeof progressShape>;
export type Status = z.output<typeof statusShape>;
export type Rotation = z.output<typeof rotationShape>;
export type RotationPreview = z.output<typeof rotationPreviewShape>;
export type Rekey = NonNullable<Status['rekey']>;
export type Rewrap = NonNullable<Status['rewrap']>;
export type Principal = z.output<typeof principalShape>;
export type Credential = z.output<typeof credentialShape>;
export type AuditEntry = z.output<typeof auditEntryShape>;
export type Problem = z.output<typeof problemShape>;

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** Of `GET /v1/keys/{name}/versions/{n}/consequences`. */
export interface KeyConsequences {
  /** In plain words. */
  readonly warnings: readonly string[];
}

/** Of `POST /v1/keys/{name}/versions/{n}/schedule-destruction`. */
export type Destruction = Key & { readonly consequences: KeyConsequences };

/** Of `POST /v1/principals/{id}/credentials`, and of rotations. */
export interface NewToken {
  readonly id: string;
  readonly token: string;
  readonly expiresAt?: string;
  /** Of a rotation: when the token before it ends. */
  readonly predecessorExpiresAt?: string;
}

/** Of `GET /v1/policy`. */
export interface PolicyAnswer {
  readonly revision: number;
  readonly hash: string;
  readonly document: { readonly [name: string]: unknown };
}

type Effect = 'allow' | 'deny' | 'require';

/** Of `POST /v1/policy/evaluate`. */
export interface ExplanationAnswer {
  readonly effect: Effect;
  readonly rule?: string;
  readonly approvals?: readonly string[];
  readonly policyRevision: number;
  readonly reason: string;
  readonly effects: readonly string[];
  readonly explanation: {
    readonly rules: readonly {
      readonly rule: string;
      readonly effect: Effect;
      readonly shadow: boolean;
      readonly matches: boolean;
      readonly failed?: string;
    }[];
    readonly limits: readonly {
      readonly limit: string;
      readonly scope: string;
      readonly inWords: string;
    }[];
  };
}

/** Of `POST /v1/policy/replay`. */
export interface ReplayAnswer {
  readonly evaluated: number;
  readonly skipped: number;
  readonly size: number;
  readonly nextCursor: string | null;
  readonly changed: {
    readonly index: number;
    readonly time: string;
    readonly principal: string;
    readonly key: string;
    readonly operation: string;
    readonly before: { readonly effect: Effect; readonly rule?: string };
    readonly after: { readonly effect: Effect; readonly rule?: string; readonly reason: string };
  }[];
}
