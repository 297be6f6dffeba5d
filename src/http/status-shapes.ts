import { z } from 'zod';
import { restoredFromSchema } from '../backup/fence.ts';
import { keyringShape, rekeyShape, rewrapShape, sealShape } from './seal-shapes.ts';
import { time } from './shapes.ts';

/** What the service says of itself. */

const sinkShape = z.strictObject({
  name: z.string(),
  type: z.enum(['file', 'syslog', 'webhook']),
  required: z.boolean().meta({ description: 'Nothing is signed while it is too far behind.' }),
  state: z.enum(['waiting', 'sending', 'retrying', 'stopped']).meta({
    description:
      '`waiting`: it has everything. `stopped`: the receiver wants no more, until the service is reloaded.',
  }),
  next: z.int().meta({ description: 'Index of the first entry that it has not.' }),
  lagEntries: z.int(),
  lagSeconds: z.number().meta({ description: 'Age of the oldest entry that it has not.' }),
  failures: z.int().meta({ description: 'Attempts that failed since the start.' }),
  lastError: z.strictObject({ time, reason: z.string() }).optional(),
});

/** Who holds a checkpoint outside. */
const holderShape = z.strictObject({
  name: z.string(),
  size: z.int().meta({ description: 'Entries that its newest checkpoint covers.' }),
  time: time.optional(),
  problem: z.string().optional().meta({ description: 'Why it failed when it was asked last.' }),
});

export const statusShape = z.strictObject({
  version: z.string(),
  initialized: z.boolean(),
  sealed: z.boolean(),
  seal: sealShape,
  keyring: keyringShape,
  rekey: rekeyShape.optional(),
  rewrap: rewrapShape.optional().meta({ description: 'The newest job that moves keys to the newest term.' }),
  ready: z.boolean(),
  reasons: z.array(z.string()),
  storage: z.strictObject({ engine: z.string() }),
  fencing: z.strictObject({
    epoch: z.int().meta({ description: 'From 1; one more each time that a restored service took over.' }),
    restored: restoredFromSchema
      .optional()
      .meta({ description: 'Of a restored service that has not taken over: it unseals and signs nothing.' }),
  }),
  policy: z.strictObject({ revision: z.int(), hash: z.string() }).nullable(),
  audit: z.strictObject({
    origin: z.string(),
    size: z.int(),
    sinks: z.array(sinkShape),
    exposed: z.strictObject({ entries: z.int(), seconds: z.number() }).meta({
      description: 'Newest entries that nobody outside holds yet, and the age of the oldest of them.',
    }),
    witnessed: z
      .strictObject({
        size: z.int().meta({ description: 'Entries that enough witnesses have cosigned.' }),
        time: time.optional(),
        quorum: z.int(),
        mode: z.enum(['async', 'strict']),
        witnesses: z.array(holderShape),
      })
      .optional(),
    anchored: z.strictObject({ size: z.int(), anchors: z.array(holderShape) }).optional(),
  }),
  time,
});
