import { z } from 'zod';
import { Forbidden, type Caller } from '../../access/credentials.ts';
import type { Principal } from '../../access/principals.ts';
import type { Role } from '../../access/roles.ts';
import { describeIntent } from '../../effects/describe.ts';
import { formatEther, formatUnits } from '../../effects/wording.ts';
import { parseIntent } from '../../intent/schema.ts';
import type { JsonValue } from '../../jcs.ts';
import type { Explanation, LimitExplanation } from '../../policy/explain.ts';
import { POLICY_OPERATIONS, type Limit, type Meter } from '../../policy/model.ts';
import { decisionShape, decisionToJson } from '../decision.ts';
import { readPolicy } from '../policy-input.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { breakGlassSchema, documentSchema, nameSchema, pageOf, versionSchema } from '../shapes.ts';

const tag = 'Policy';
const READERS: readonly Role[] = ['admin', 'policy-admin', 'auditor', 'approver', 'operator'];
const MAY_ASK_FOR_OTHERS: ReadonlySet<Role> = new Set(['policy-admin', 'auditor']);

const amount = z.string();
const explanationShape = decisionShape.extend({
  effects: z.array(z.string()).meta({ description: 'What the request does, in plain words.' }),
  explanation: z.strictObject({
    rules: z
      .array(
        z.strictObject({
          rule: z.string(),
          effect: z.enum(['allow', 'deny', 'require']),
          shadow: z.boolean(),
          matches: z.boolean(),
          failed: z.string().optional().meta({ description: 'The first thing that keeps it from matching.' }),
        }),
      )
      .meta({ description: 'Every rule for this operation.' }),
    limits: z.array(
      z.strictObject({
        limit: z.string(),
        scope: z.string(),
        amount,
        before: amount,
        max: amount,
        headroom: amount.meta({ description: 'What is left without this request.' }),
        inWords: z.string().meta({ description: 'What it takes and what is left, in the limit’s unit.' }),
      }),
    ),
  }),
});

export function policyRoutes({ policy, reads, access, signing }: Service): Route[] {
  const requesterOf = (caller: Caller, id: string | undefined): Principal => {
    if (id === undefined || id === caller.principal.id) return caller.principal;
    if (!caller.principal.roles.some((role) => MAY_ASK_FOR_OTHERS.has(role))) {
      throw new Forbidden(caller, 'only a policy-admin or an auditor may ask what another principal may do');
    }
    return access.principal(id);
  };

  return [
    route(
      {
        method: 'GET',
        path: '/v1/policy',
        tag,
        summary: 'The policy in force',
        access: READERS,
        answer: {
          status: 200,
          description: 'Its canonical document.',
          schema: z.strictObject({
            revision: z.int(),
            hash: z.string().meta({ description: 'SHA-256 of the document in RFC 8785 form, hex.' }),
            document: z.record(z.string(), z.unknown()),
          }),
        },
      },
      () => {
        const { revision, hash, document } = policy.current();
        return { revision, hash, document: document as unknown as JsonValue };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/policy/revisions',
        tag,
        summary: 'All policies that ever were in force',
        access: READERS,
        answer: {
          status: 200,
          description: 'Newest first.',
          schema: pageOf(
            z.strictObject({
              revision: z.int(),
              hash: z.string(),
              parentHash: z.string().nullable(),
              time: z.string(),
            }),
          ),
        },
      },
      () => ({
        items: reads
          .policies()
          .map(({ revision, hash, parentHash, time }) => ({ revision, hash, parentHash, time })),
        nextCursor: null,
      }),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/policy/evaluate',
        tag,
        summary: 'What the policy would say, and why',
        description:
          'Takes the fields of the operation’s body beside these. Nothing is signed or charged. With `document` it is asked of a candidate in place of the policy in force.',
        access: ['policy-admin', 'auditor', 'signer'],
        body: z.looseObject({
          key: nameSchema,
          operation: z.enum(POLICY_OPERATIONS),
          version: versionSchema.optional(),
          principal: z.uuid().optional().meta({ description: 'Id of a principal; the caller when absent.' }),
          breakGlass: breakGlassSchema.optional(),
          document: documentSchema.optional(),
        }),
        answer: { status: 200, description: 'The decision, explained.', schema: explanationShape },
      },
      ({ body: { key, operation, version, principal, breakGlass, document, ...body } }, { caller }) => {
        const requester = requesterOf(caller, principal);
        const candidate = document === undefined ? policy.current() : readPolicy(document);
        const intent = operation === 'key.export' ? { operation } : parseIntent(operation, body);
        const source = { address: caller.address, mtls: caller.mtls };
        const request = signing.ask({ keyName: key, version, requester, source, breakGlass, intent });
        const explanation = candidate.explain(request, signing.usageOf);
        const effects = describeIntent(intent, request.effects, { tokens: candidate.model.tokens });
        return explanationToJson(explanation, effects, candidate.model.limits);
      },
    ),
  ];
}

function explanationToJson(
  { decision, rules, limits }: Explanation,
  effects: readonly string[],
  inForce: readonly Limit[],
): { readonly [name: string]: JsonValue } {
  return {
    ...decisionToJson(decision),
    effects,
    explanation: {
      rules: rules.map(({ rule, effect, shadow, matches, failed }) => ({
        rule,
        effect,
        shadow,
        matches,
        ...(failed !== undefined && { failed }),
      })),
      limits: limits.map((use) => limitToJson(use, inForce)),
    },
  };
}

function limitToJson(
  { limit, scope, amount: charged, before, max, headroom }: LimitExplanation,
  inForce: readonly Limit[],
): { readonly [name: string]: JsonValue } {
  const meter = inForce.find(({ name }) => name === limit)?.meter;
  const inUnit = (units: bigint): string => formatMetered(units, meter);
  return {
    limit,
    scope,
    amount: `${charged}`,
    before: `${before}`,
    max: `${max}`,
    headroom: `${headroom}`,
    inWords: `takes ${inUnit(charged)}; ${inUnit(headroom)} of ${inUnit(max)} left`,
  };
}

function formatMetered(units: bigint, meter: Meter | undefined): string {
  if (meter === undefined) return `${units}`;
  if (meter.kind === 'token') return `${formatUnits(units, meter.token.decimals)} ${meter.token.name}`;
  return meter.kind === 'count' ? `${units}` : formatEther(units);
}
