import { z } from 'zod';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { reasonSchema } from '../shapes.ts';

/** The key that signs the log's checkpoints. */
export function logKeyRoutes({ logKeys, checkpointer }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/rotate-log-key',
        tag: 'System',
        summary: 'Put a new key of the audit log in force',
        description:
          'The new key is made and sealed in the signer process. The old one signs a note that names it, which is an entry of the log, and is erased. Whoever has pinned ' +
          'the old key verifies on with it: `audit verify` follows the note.',
        access: ['operator'],
        body: z.strictObject({ reason: reasonSchema }),
        answer: {
          status: 200,
          description: 'The verifier keys (C2SP vkey) before and after, and the entry.',
          schema: z.strictObject({
            oldKey: z.string(),
            newKey: z.string(),
            receipt: z.strictObject({ index: z.int(), leafHash: z.string() }),
          }),
        },
      },
      async ({ body: { reason } }, { act }) => {
        const rotated = await logKeys.rotate(act, reason);
        // The first word of the new key. Whatever keeps it from being said now, the next second tries again.
        await checkpointer.current().catch(() => undefined);
        return rotated;
      },
    ),
  ];
}
