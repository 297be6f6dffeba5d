import { z } from 'zod';
import { systemAct } from '../../audit/act.ts';
import { DATABASE_PART, partOf } from '../../backup/header.ts';
import { Content } from '../content.ts';
import { route, type Route } from '../route.ts';
import type { Service } from '../service.ts';
import { reasonSchema } from '../shapes.ts';

const tag = 'System';

const takenOverShape = z.strictObject({
  restoredSize: z.int().meta({ description: 'Entries of the log that was restored.' }),
  restoredRoot: z.string(),
  backupAt: z.string(),
  restoredAt: z.string().optional(),
  oldEpoch: z.int(),
  newEpoch: z.int(),
  lost: z
    .strictObject({ from: z.int(), to: z.int() })
    .optional()
    .meta({ description: 'Entries that are known to be lost, as far as the restore was told of them.' }),
  warnings: z
    .array(z.string())
    .meta({ description: 'What this service does not know of the time in between.' }),
});

/** Backups, and taking over from the service that one was made of. */
export function backupRoutes({ backups, fence, log, seal }: Service): Route[] {
  return [
    route(
      {
        method: 'POST',
        path: '/v1/sys/backup',
        tag,
        summary: 'Make a backup',
        description:
          'Keys (sealed), policies, principals, limits and the log as they are at one moment, in the age format, for these recipients of age. The seal itself is not in it: neither a ' +
          'passphrase nor shares, nor the key file of the `file` seal. That it was made is an entry before its first byte leaves. A repeat with the same Idempotency-Key makes another.',
        access: ['operator'],
        body: z.strictObject({
          recipients: z.array(z.string().min(1).max(4_096)).min(1).max(32).meta({
            description: 'Public keys of age, `age1…`: whoever holds one of their identities can open it.',
          }),
        }),
        answer: {
          status: 200,
          description:
            'The backup. `Countersign-Backup-Sha256` is of the database in it, and is in the entry, too.',
          mediaType: 'application/octet-stream',
        },
      },
      async ({ body: { recipients } }, { act, readmit }) => {
        // As late as in backups.ts.
        const { fingerprintOf, requireRecipients } = await import('../../backup/age.ts');
        requireRecipients(recipients);
        const { header, size, pieces, discard } = await backups.prepare({ lock: { recipients } });
        try {
          const { log, epoch } = header;
          const database = partOf(header, DATABASE_PART)?.sha256 ?? '';
          const detail = {
            size: log.size,
            root: log.root,
            epoch,
            bytes: size,
            database,
            recipients: recipients.map(fingerprintOf),
          };
          const { index } = await act.record({ kind: 'backup.created', outcome: 'done', detail });
          return new Content(
            async (out) => {
              try {
                for await (const piece of pieces) {
                  readmit();
                  await out.write(piece);
                }
              } finally {
                discard();
              }
            },
            {
              'Content-Length': String(size),
              'Content-Disposition': `attachment; filename="countersign-${log.size}.age"`,
              'Countersign-Backup-Size': String(log.size),
              'Countersign-Backup-Root': log.root,
              'Countersign-Backup-Epoch': String(epoch),
              'Countersign-Backup-Sha256': database,
              'Countersign-Backup-Entry': String(index),
            },
          );
        } catch (error) {
          discard();
          throw error;
        }
      },
    ),
    route(
      {
        method: 'POST',
        path: '/v1/sys/take-over',
        tag,
        summary: 'Go on as the live service after a restore',
        description:
          'A restored service unseals and signs nothing until an operator has made sure that the one it was taken of is stopped for good, and says so here. 409 where nothing was restored.',
        access: ['operator'],
        body: z.strictObject({ reason: reasonSchema }),
        answer: { status: 200, description: 'It goes on.', schema: takenOverShape },
      },
      async ({ body: { reason } }, { act }) => {
        const taken = await fence.takeOver(act, reason);
        // What opens without a person; readyz says what does not. An act of its own: the caller's has its one answer.
        await seal.resume(systemAct(log)).catch(() => undefined);
        return taken;
      },
    ),
  ];
}
