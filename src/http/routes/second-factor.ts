import { z } from 'zod';
import type { Role } from '../../access/roles.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { otpSchema } from '../shapes.ts';

const tag = 'Access';

/** Whoever may be asked to approve something. */
const HOLDERS: readonly Role[] = ['approver', 'admin', 'policy-admin', 'operator'];

const stateShape = z.strictObject({ principal: z.string(), confirmed: z.boolean() });

/** One-time codes (RFC 6238) of those who approve. */
export function secondFactorRoutes({ secondFactor, access }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/me/totp',
        tag,
        summary: 'Begin to use a second factor',
        description:
          'The secret is in this answer and nowhere else. It counts once it is confirmed by a first code.',
        access: HOLDERS,
        body: z.strictObject({}),
        answer: {
          status: 201,
          description: 'For an authenticator app.',
          schema: z.strictObject({
            secret: z.string().meta({ description: 'Base32 (RFC 4648).' }),
            uri: z.string().meta({ description: 'The same as an otpauth URI, for a QR code.' }),
          }),
        },
        secretAnswer: true,
      },
      async (_input, { act, caller }) => await secondFactor.enrol(act, caller.principal),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/me/totp/confirm',
        tag,
        summary: 'Confirm a second factor by its first code',
        description: 'From then on every approval by this principal takes a code.',
        access: HOLDERS,
        body: z.strictObject({ otp: otpSchema }),
        secretBody: true,
        answer: { status: 200, description: 'Confirmed.', schema: stateShape },
      },
      async ({ body: { otp } }, { act, caller }) => await secondFactor.confirm(act, caller.principal, otp),
    ),
    route(
      {
        method: 'POST',
        path: '/v1/principals/{id}/totp/reset',
        tag,
        summary: 'Take away a second factor that was lost',
        access: ['admin'],
        params: z.strictObject({ id: z.uuid() }),
        body: z.strictObject({}),
        answer: { status: 200, description: 'Without one.', schema: stateShape },
      },
      async ({ params: { id } }, { act }) => await secondFactor.reset(act, access.principal(id)),
    ),
  ];
}
