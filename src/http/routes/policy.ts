import { z } from 'zod';
import type { JsonValue } from '../../jcs.ts';
import { OPERATIONS } from '../../intent/intent.ts';
import { parseIntent } from '../../intent/schema.ts';
import { Forbidden, type Caller } from '../../access/credentials.ts';
import type { Principal } from '../../access/principals.ts';
import type { Role } from '../../access/roles.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { nameSchema } from '../shapes.ts';

const tag = 'Policy';
const MAY_ASK_FOR_OTHERS: ReadonlySet<Role> = new Set(['policy-admin', 'auditor']);

const decisionShape = z.strictObject({
  effect: z.enum(['allow', 'deny']),
  rule: z.string().optional(),
  policyRevision: z.int(),
  policyHash: z.string(),
  reason: z.string(),
  failed: z.array(z.strictObject({ rule: z.string(), predicate: z.string() })).optional(),
});

export function policyRoutes({ policy, keys, access }: Service): Route[] {
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
        access: ['admin', 'policy-admin', 'auditor', 'approver'],
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
        method: 'POST',
        path: '/v1/policy/evaluate',
        tag,
        summary: 'What the policy would say',
        description: 'Takes the fields of the operation’s body beside these. Nothing is signed.',
        access: ['policy-admin', 'auditor', 'signer'],
        body: z.looseObject({
          key: nameSchema,
          operation: z.enum(OPERATIONS),
          principal: z.uuid().optional().meta({ description: 'Id of a principal; the caller when absent.' }),
        }),
        answer: { status: 200, description: 'The decision.', schema: decisionShape },
      },
      ({ body: { key, operation, principal, ...body } }, { caller }) => {
        const requester = requesterOf(caller, principal);
        const intent = parseIntent(operation, body);
        return { ...policy.evaluate({ principal: requester, key: keys.get(key), intent }) };
      },
    ),
  ];
}
