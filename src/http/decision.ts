import { z } from 'zod';
import type { JsonValue } from '../jcs.ts';
import type { Decision } from '../policy/decision.ts';

const effect = z.enum(['allow', 'deny', 'require']);
const amount = z.string().meta({ description: 'Wei, base units of the token, or a count; decimal.' });

/** What a policy decided, in full. */
export const decisionShape = z.strictObject({
  effect,
  rule: z.string().optional(),
  rules: z
    .array(z.string())
    .optional()
    .meta({ description: 'Of a request with several effects: every rule that allows one.' }),
  approvals: z.array(z.string()).optional().meta({ description: 'All of them have to be given.' }),
  limit: z.string().optional().meta({ description: 'The limit that decided.' }),
  overrides: z
    .strictObject({ rule: z.string().optional(), reason: z.string() })
    .optional()
    .meta({ description: 'The denial that break-glass overrides.' }),
  policyRevision: z.int(),
  policyHash: z.string(),
  reason: z.string(),
  failed: z.array(z.strictObject({ rule: z.string(), predicate: z.string() })).optional(),
  limits: z
    .array(z.strictObject({ limit: z.string(), scope: z.string(), amount, before: amount, max: amount }))
    .optional(),
  shadow: z.array(z.strictObject({ rule: z.string(), effect })).optional(),
});

export type DecisionJson = { readonly [name: string]: JsonValue };

export function decisionToJson({ limits, ...decision }: Decision): DecisionJson {
  return {
    ...(decision as unknown as DecisionJson),
    ...(limits !== undefined && {
      limits: limits.map(({ limit, scope, amount, before, max }) => ({
        limit,
        scope,
        amount: `${amount}`,
        before: `${before}`,
        max: `${max}`,
      })),
    }),
  };
}
