import { z } from 'zod';
import { KEY_VERSION_STATES } from '../keystore/life-cycle.ts';
import { hex, nameSchema, receiptShape, tagsSchema, time } from './shapes.ts';

/** Shapes of keys, of what comes in and what goes out. */

/** What is said of a key when it is made or imported. */
export const newKeySchema = z.strictObject({
  name: nameSchema,
  tags: tagsSchema.default([]),
  canary: z.boolean().default(false).meta({
    description: 'Made to be stolen: every request to sign with it is denied, and raises an alert.',
  }),
  exportable: z.boolean().default(false).meta({
    description:
      'Whether its private key may ever be exported, under approval. Said once: it can be changed neither way later.',
  }),
});

/** A secret that is encrypted to a wrapping key. */
export const wrappedFields = {
  wrappingKey: z.uuid().meta({ description: 'Id of the wrapping key.' }),
  enc: hex(32).meta({ description: 'HPKE: the encapsulated key.' }),
  ciphertext: z
    .string()
    .regex(/^0x(?:[0-9a-f]{2}){17,65536}$/, 'must be 17 to 65536 bytes, lower-case hex with 0x')
    .meta({ description: 'HPKE: the encrypted secret and its tag.' }),
};

/** As it goes out: a plan with every default. */
const scheduleShape = z.strictObject({
  everyDays: z.int(),
  window: z
    .strictObject({ tz: z.string(), days: z.array(z.string()), from: z.string(), to: z.string() })
    .optional(),
  plan: z.record(z.string(), z.unknown()).optional(),
});

export const keyShape = z.strictObject({
  name: nameSchema,
  tags: z.array(z.string()),
  state: z.enum(KEY_VERSION_STATES).meta({ description: 'Of the primary.' }),
  primary: z.int().meta({ description: 'The version that signs when none is named.' }),
  versions: z.array(
    z.strictObject({
      version: z.int(),
      address: hex(20),
      publicKey: hex(65),
      state: z.enum(KEY_VERSION_STATES),
      origin: z.enum(['generated', 'imported']),
      createdAt: time,
      lastUsedAt: time.optional(),
      stateReason: z.string().optional().meta({ description: 'Why the state was changed last.' }),
      stateChangedAt: time.optional(),
      supersededAt: time.optional(),
      compromisedAt: time.optional(),
      destroyAt: time.optional(),
      destroyedAt: time.optional(),
    }),
  ),
  exportable: z.boolean().meta({ description: 'Whether it may be exported, under approval.' }),
  canary: z
    .boolean()
    .optional()
    .meta({ description: 'Whether it exists to be stolen; for admins and auditors only.' }),
  rotation: scheduleShape.optional(),
  createdAt: time,
});

/** A key, and where it came in a file, how well that protected it. */
export const importedShape = keyShape.extend({
  keystore: z
    .strictObject({
      kdf: z.record(z.string(), z.union([z.string(), z.number()])),
      belowFloor: z
        .array(z.string())
        .meta({ description: 'Parameters that are weaker than any that is written here; empty for none.' }),
      advice: z.string(),
    })
    .optional()
    .meta({ description: 'Of a V3 file: how its password became a key, and what to do with the file.' }),
});

/** A private key, encrypted with a password. */
export const exportedShape = z.strictObject({
  key: z.strictObject({ name: z.string(), version: z.int(), address: hex(20) }),
  keystore: z
    .record(z.string(), z.unknown())
    .meta({ description: 'Web3 Secret Storage, version 3, as geth and ethers read it. Shown this once.' }),
  receipt: receiptShape,
});
