import { z } from 'zod';
import { REQUEST_STATES } from '../../approvals/request.ts';
import type { RequestJson } from '../../approvals/view.ts';
import type { Role } from '../../access/roles.ts';
import type { Answer } from '../../audit/act.ts';
import { CountersignError } from '../../errors.ts';
import { requireReleasable, untilReleasable } from '../release.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { commentSchema, limitSchema, otpSchema, pageOf, requestShape } from '../shapes.ts';

const tag = 'Requests and approvals';

/** Whoever may be asked to approve something, by the policy. */
const APPROVERS: readonly Role[] = ['approver', 'admin', 'policy-admin', 'operator'];
const READERS: readonly Role[] = [...APPROVERS, 'signer', 'auditor'];

const idParams = z.strictObject({ id: z.uuid() });
const answer = { status: 200, description: 'The request.', schema: requestShape };

export function requestRoutes(service: Service): Route[] {
  const { approvals } = service;

  const checkReplay = async ({ result }: Answer): Promise<void> => {
    if (result !== undefined) await untilReleasable(service, result as Answer);
  };

  /** Without a signature that must not go out now: it is kept, and shown again when it may. */
  const released = (request: RequestJson): RequestJson => {
    try {
      if (request['result'] !== undefined) requireReleasable(service, request['result'] as Answer);
      return request;
    } catch (error) {
      if (!(error instanceof CountersignError)) throw error;
      const { result: _, ...rest } = request;
      return { ...rest, note: `the signature is held back: ${error.message}` };
    }
  };

  return [
    route(
      {
        method: 'GET',
        path: '/v1/requests',
        tag,
        summary: 'Requests for approval',
        description: 'Newest first. A signer sees its own.',
        access: READERS,
        query: z.strictObject({
          status: z.enum(REQUEST_STATES).optional(),
          limit: limitSchema,
          cursor: z.uuid().optional(),
        }),
        answer: { status: 200, description: 'A page.', schema: pageOf(requestShape) },
      },
      ({ query: { status, limit, cursor } }, { caller }) => {
        const { items, nextCursor } = approvals.list(caller, { status, limit, before: cursor });
        return { items: items.map(released), nextCursor };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/requests/{id}',
        tag,
        summary: 'One request',
        description:
          'What it does in plain words, who has approved, what is missing; once signed, the result for its requester.',
        access: READERS,
        params: idParams,
        answer,
      },
      ({ params: { id } }, { caller }) => released(approvals.show(caller, id)),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/requests/{id}/approve',
        tag,
        summary: 'Approve a request',
        description:
          'With the last approval that it needs, everything is evaluated again, and it is signed. Who has a second factor gives its code as `otp`.',
        access: APPROVERS,
        params: idParams,
        body: z.strictObject({ comment: commentSchema.optional(), otp: otpSchema.optional() }),
        secretBody: true,
        answer,
        checkReplay,
      },
      async ({ params: { id }, body }, { act, caller }) =>
        released(await approvals.approve(act, caller, id, body)),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/requests/{id}/reject',
        tag,
        summary: 'Reject a request',
        description: 'Until it is signed: also one that is approved, by whoever has not voted on it.',
        access: APPROVERS,
        params: idParams,
        body: z.strictObject({ comment: commentSchema.optional() }),
        answer,
      },
      async ({ params: { id }, body }, { act, caller }) => await approvals.reject(act, caller, id, body),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/requests/{id}/cancel',
        tag,
        summary: 'Take back a request',
        description: 'Its requester may, until it is signed.',
        access: ['signer', 'admin'],
        params: idParams,
        body: z.strictObject({}),
        answer,
      },
      async ({ params: { id } }, { act, caller }) => await approvals.cancel(act, caller, id),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/requests/{id}/execute',
        tag,
        summary: 'Sign an approved request',
        description:
          'The last approval signs by itself; this is for its requester, where that was not possible at the time: sealed, or busy.',
        access: ['signer'],
        params: idParams,
        body: z.strictObject({}),
        answer,
        checkReplay,
      },
      async ({ params: { id } }, { act, caller }) => released(await approvals.execute(act, caller, id)),
    ),
  ];
}
