import { z } from 'zod';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { reasonSchema } from '../shapes.ts';

/** What an operator does who has looked at why somebody outside holds another log. */
export function splitViewRoutes({ outside }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/audit/split-view/acknowledge',
        tag: 'Audit',
        summary: 'Go on although somebody outside holds another log',
        description:
          'Nothing is signed from the moment when a witness or an anchor is found to hold a checkpoint that the log does not continue. Find out first which of the ' +
          'two is the log. What is acknowledged is not raised again; 409 when there is nothing.',
        access: ['operator', 'admin'],
        body: z.strictObject({ reason: reasonSchema }),
        answer: {
          status: 200,
          description: 'What was acknowledged.',
          schema: z.strictObject({ acknowledged: z.array(z.string()) }),
        },
      },
      async ({ body: { reason } }, { act }) => await outside.splitView.acknowledge(act, reason),
    ),
  ];
}
