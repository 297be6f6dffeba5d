import { z } from 'zod';
import type { Answer } from '../../audit/act.ts';
import type { RootTerm } from '../../signer/term-use.ts';
import { route, type Route } from '../route.ts';
import { jobToJson, rewrapShape } from '../seal-shapes.ts';
import type { Service } from '../service.ts';

const tag = 'System';

/** The terms of the root key, and moving what is sealed to the newest. */
export function rootKeyRoutes(service: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/rotate-root',
        tag,
        summary: 'Add a term to the root keyring',
        description:
          'What is sealed from now on is sealed under it; `rewrap` moves the rest. Terms before it are kept: backups open with them.',
        access: ['operator'],
        body: z.strictObject({}),
        answer: {
          status: 200,
          description: 'The new term.',
          schema: z.strictObject({ term: z.int(), createdAt: z.string() }),
        },
      },
      async (_input, { act }) => {
        const answer = ({ term, createdAt }: RootTerm): Answer => ({ term, createdAt });
        return answer(await service.sealing.rootKey.rotate(act, 'asked', answer));
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/rewrap',
        tag,
        summary: 'Move everything that is sealed to the newest term',
        description:
          'A job. Signing goes on meanwhile; a restart or a sealing interrupts it, and it goes on by itself once unsealed.',
        access: ['operator'],
        body: z.strictObject({}),
        answer: { status: 202, description: 'The job.', schema: z.strictObject({ job: rewrapShape }) },
      },
      async (_input, { act }) => {
        const job = await service.sealing.rewrap.start(act, (job) => ({ job: jobToJson(job) }));
        return { job: jobToJson(job) };
      },
    ),
    route(
      {
        method: 'GET',
        path: '/v1/sys/rewrap',
        tag,
        summary: 'The newest job that moves what is sealed',
        access: ['admin', 'operator', 'auditor'],
        answer: {
          status: 200,
          description: 'The job, or null where there never was one.',
          schema: z.strictObject({ job: rewrapShape.nullable() }),
        },
      },
      () => {
        const job = service.sealing.rewrap.status();
        return { job: job === undefined ? null : jobToJson(job) };
      },
    ),
  ];
}
