import { z } from 'zod';
import { PROPOSAL_STATES } from '../../approvals/proposal.ts';
import type { Role } from '../../access/roles.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import {
  commentSchema,
  documentSchema,
  limitSchema,
  otpSchema,
  pageOf,
  proposalShape,
  suitesSchema,
} from '../shapes.ts';

const tag = 'Policy';

/** Whoever may be asked to approve a change, by the policy in force. */
const APPROVERS: readonly Role[] = ['policy-admin', 'approver', 'admin', 'operator'];
const READERS: readonly Role[] = [...APPROVERS, 'auditor'];

const idParams = z.strictObject({ id: z.uuid() });
const answer = { status: 200, description: 'The proposal.', schema: proposalShape };

export function proposalRoutes({ proposals }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/policy/proposals',
        tag,
        summary: 'Propose a policy',
        description:
          'It has to compile, its tests and those of the policy in force have to pass, and its revision has to be higher. It comes in force when another policy-admin, or whoever the policy in force names, has approved it.',
        access: ['policy-admin'],
        body: z.strictObject({
          document: documentSchema,
          suites: suitesSchema.optional(),
          comment: commentSchema.optional(),
        }),
        answer: {
          status: 201,
          description: 'The proposal: what it changes, and what to know.',
          schema: proposalShape,
        },
      },
      async ({ body }, { act, caller }) => await proposals.propose(act, caller, body),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/policy/proposals',
        tag,
        summary: 'Proposals',
        description: 'Newest first.',
        access: READERS,
        query: z.strictObject({
          status: z.enum(PROPOSAL_STATES).optional(),
          limit: limitSchema,
          cursor: z.uuid().optional(),
        }),
        answer: { status: 200, description: 'A page.', schema: pageOf(proposalShape) },
      },
      ({ query: { status, limit, cursor } }) => proposals.list({ status, limit, before: cursor }),
    ),
    route(
      {
        method: 'GET',
        path: '/v1/policy/proposals/{id}',
        tag,
        summary: 'One proposal',
        description: 'Its warnings are of now; in a list they are of when it was proposed.',
        access: READERS,
        params: idParams,
        answer,
      },
      ({ params: { id } }) => proposals.inspect(id),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/policy/proposals/{id}/approve',
        tag,
        summary: 'Approve a proposal',
        description:
          'Not by its proposer. With the last approval that it needs its tests run again, and it is in force from the next request on.',
        access: APPROVERS,
        params: idParams,
        body: z.strictObject({ comment: commentSchema.optional(), otp: otpSchema.optional() }),
        secretBody: true,
        answer,
      },
      async ({ params: { id }, body }, { act, caller }) => await proposals.approve(act, caller, id, body),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/policy/proposals/{id}/reject',
        tag,
        summary: 'Reject a proposal',
        description: 'Its proposer may, too: that takes it back.',
        access: APPROVERS,
        params: idParams,
        body: z.strictObject({ comment: commentSchema.optional() }),
        answer,
      },
      async ({ params: { id }, body }, { act, caller }) => await proposals.reject(act, caller, id, body),
    ),
  ];
}
