import { z } from 'zod';
import { cidrProblem } from '../access/networks.ts';
import { ROLES } from '../access/roles.ts';
import { PROPOSAL_STATES } from '../approvals/proposal.ts';
import { REQUEST_STATES } from '../approvals/request.ts';
import { OPERATIONS } from '../intent/intent.ts';
import { NAME } from '../keystore/keys.ts';
import { POLICY_OPERATIONS } from '../policy/model.ts';

/** Shapes that several routes share, of what comes in and what goes out. */

export const nameSchema = z
  .string()
  .regex(NAME, 'must be 1 to 63 of a-z, 0-9, ".", "_" and "-", beginning with a letter or digit')
  .meta({ examples: ['treasury'] });

export const tagsSchema = z
  .array(nameSchema)
  .max(32)
  .refine((tags) => new Set(tags).size === tags.length, 'must not repeat a tag');

export const versionSchema = z
  .int()
  .min(1)
  .meta({ description: 'A version of the key; the primary when absent.' });

export const reasonSchema = z.string().min(1).max(500).meta({ description: 'Why; kept in the audit log.' });

export const commentSchema = z.string().min(1).max(500).meta({ description: 'Kept in the audit log.' });

/** A policy in a body: what the file holds, or the same as JSON. */
export const documentSchema = z
  .union([z.string().min(1), z.record(z.string(), z.unknown())])
  .meta({ description: 'The policy: YAML text, as in a file, or the document as JSON.' });

export const suitesSchema = z
  .array(z.strictObject({ name: z.string().min(1).max(255), text: z.string().min(1) }))
  .max(32)
  .meta({ description: 'Test suites: the name of each file, and its YAML text.' });

export const otpSchema = z
  .string()
  .regex(/^[0-9]{6}$/, 'must be 6 digits')
  .meta({ description: 'One-time code (RFC 6238), once each.' });

export const rolesSchema = z
  .array(z.enum(ROLES))
  .min(1)
  .refine((roles) => new Set(roles).size === roles.length, 'must not repeat a role');

export const cidrSchema = z.string().superRefine((cidr, context) => {
  const problem = cidrProblem(cidr);
  if (problem !== undefined) context.addIssue(problem);
});

export const hex = (bytes: number): z.ZodString =>
  z
    .string()
    .regex(new RegExp(`^0x[0-9a-f]{${bytes * 2}}$`), `must be 0x and ${bytes * 2} lower-case hex digits`);
export const time = z.string().meta({ description: 'RFC 3339, UTC, milliseconds.' });

/** A whole number in a path or a query. Digits only: `0x1`, `1e0` and `01` would be other spellings of `1`. */
export function numberText(minimum: number, maximum = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .refine((text) => /^(?:0|[1-9][0-9]{0,15})$/.test(text), 'must be a whole number in decimal digits')
    .refine(
      (text) => Number(text) >= minimum && Number(text) <= maximum,
      `must be from ${minimum} to ${maximum}`,
    )
    .meta({ type: 'integer', minimum, maximum })
    .transform(Number);
}

export const limitSchema = numberText(1, 1_000)
  .default(100)
  .meta({ description: 'Page size; 100 when absent.' });

/** `{items, nextCursor}`; `nextCursor` is null on the last page. */
export function pageOf(item: z.ZodType): z.ZodObject {
  return z.strictObject({
    items: z.array(item),
    nextCursor: z
      .string()
      .nullable()
      .meta({ description: 'What to give as `cursor` for the next page; null on the last.' }),
  });
}

export const receiptShape = z.strictObject({
  index: z.int().meta({ description: 'Position of the audit entry.' }),
  leafHash: z.string().meta({ description: 'RFC 6962 leaf hash of the audit entry, hex.' }),
});

export const signAnswerShape = z.strictObject({
  requestId: z.string(),
  key: z.strictObject({ name: z.string(), version: z.int(), address: hex(20) }),
  operation: z.enum(OPERATIONS),
  digest: hex(32).meta({ description: 'The 32 bytes that were signed.' }),
  signature: hex(65).meta({ description: 'r ‖ s ‖ v with v = 27 + yParity.' }),
  r: hex(32),
  s: hex(32),
  yParity: z.int().min(0).max(1),
  rawTransaction: z
    .string()
    .optional()
    .meta({ description: 'For transactions: what eth_sendRawTransaction takes.' }),
  transactionHash: hex(32).optional(),
  decision: z.strictObject({
    effect: z
      .enum(['allow', 'require'])
      .meta({ description: '`require` where approvals were needed and given.' }),
    rule: z.string().optional(),
    policyRevision: z.int(),
  }),
  deprecation: z
    .strictObject({
      since: time,
      successor: z.strictObject({ version: z.int(), address: hex(20) }),
    })
    .optional()
    .meta({ description: 'Of a version that another one has taken the place of; it drains.' }),
  receipt: receiptShape,
});

export const breakGlassSchema = z.string().min(1).max(500).meta({
  description:
    'Asks that a denial be overridden, and says why: where the policy has break-glass for this caller and key, approval is asked for in place of the denial.',
});

/** Which approvals something takes, and what each still misses. */
export const progressShape = z.strictObject({
  names: z.array(z.string()).meta({ description: 'All of them have to be given.' }),
  missing: z.array(
    z.strictObject({
      approval: z.string(),
      role: z.enum(ROLES),
      m: z.int().meta({ description: 'How many principals of the role have to approve.' }),
      have: z.int(),
    }),
  ),
});

/** What a route answers when the policy asks for approval. */
export const pendingAnswerShape = z.strictObject({
  request: z.strictObject({
    id: z.uuid(),
    status: z.enum(REQUEST_STATES),
    expiresAt: time,
    approval: progressShape,
  }),
});

const voteShape = z.strictObject({
  name: z.string(),
  verdict: z.enum(['approve', 'reject']),
  comment: z.string().optional(),
  otp: z.boolean(),
  mtls: z.boolean(),
  time,
});

export const requestShape = z.strictObject({
  id: z.uuid(),
  status: z.enum(REQUEST_STATES),
  requester: z.strictObject({ id: z.string(), name: z.string() }),
  key: z.strictObject({ name: z.string(), version: z.int(), address: hex(20) }),
  operation: z.enum(POLICY_OPERATIONS),
  description: z.array(z.string()).meta({ description: 'What it does, in plain words.' }),
  intent: z
    .record(z.string(), z.unknown())
    .meta({ description: 'The request itself, as it would be signed.' }),
  intentHash: z.string().meta({
    description: 'SHA-256, hex: what an approval binds, together with the policy.',
  }),
  digest: hex(32).optional().meta({ description: 'The 32 bytes that would be signed.' }),
  reason: z.string().meta({ description: 'Why it needs approval.' }),
  breakGlass: z.string().optional(),
  policyRevision: z.int(),
  policyHash: z.string(),
  approval: progressShape,
  votes: z.array(voteShape),
  createdAt: time,
  expiresAt: time,
  note: z.string().optional(),
  result: signAnswerShape.optional().meta({ description: 'Once signed, and to the requester only.' }),
});

export const proposalShape = z.strictObject({
  id: z.uuid(),
  status: z.enum(PROPOSAL_STATES),
  proposer: z.strictObject({ id: z.string(), name: z.string() }),
  revision: z.int(),
  hash: z.string(),
  parentHash: z.string(),
  document: z.record(z.string(), z.unknown()),
  changes: z.array(z.string()).meta({ description: 'In plain words, one change each.' }),
  warnings: z.array(z.string()),
  suites: z.array(z.strictObject({ name: z.string(), text: z.string() })),
  tests: z.strictObject({ passed: z.int(), failed: z.int() }),
  comment: z.string().optional(),
  approval: progressShape,
  votes: z.array(voteShape),
  createdAt: time,
  expiresAt: time,
});

export const problemShape = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  requestId: z.string(),
  errors: z.array(z.strictObject({ path: z.string(), message: z.string() })).optional(),
  decision: z
    .strictObject({
      effect: z.enum(['allow', 'deny', 'require']),
      rule: z.string().optional(),
      limit: z.string().optional(),
      policyRevision: z.int(),
      reason: z.string(),
      failed: z.array(z.strictObject({ rule: z.string(), predicate: z.string() })).optional(),
    })
    .optional(),
});

export const principalShape = z.strictObject({
  id: z.string(),
  name: z.string().meta({ description: 'Of one that an identity provider vouches for: `provider:subject`.' }),
  roles: z
    .array(z.enum(ROLES))
    .meta({ description: 'Of one that an identity provider vouches for, those of its newest token.' }),
  state: z.enum(['enabled', 'disabled']),
  createdAt: time,
});

export const credentialShape = z.strictObject({
  id: z.string(),
  kind: z.enum(['token', 'certificate']),
  match: z
    .string()
    .optional()
    .meta({ description: 'Which client certificate it is: `sha256:<hex>`, `dns:<name>` or `uri:<uri>`.' }),
  rotatedFrom: z.string().optional().meta({ description: 'The token that this one takes the place of.' }),
  createdAt: time,
  expiresAt: time.optional(),
  cidrs: z.array(z.string()),
  canary: z.literal(true).optional().meta({ description: 'It exists to be stolen, and lets nobody in.' }),
  revokedAt: time.optional(),
});

export const auditEntryShape = z.strictObject({
  index: z.int(),
  leafHash: z.string().meta({ description: 'RFC 6962 leaf hash, hex.' }),
  entry: z
    .record(z.string(), z.unknown())
    .meta({ description: 'The entry; its RFC 8785 form is what is hashed. Fields: docs/audit.md.' }),
});
