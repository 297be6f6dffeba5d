import { z } from 'zod';
import type { Answer } from '../audit/act.ts';
import { kdfChoiceSchema } from '../keystore/kdf.ts';
import { MAX_SHARES } from '../keystore/shamir.ts';
import { SHARE_TEXT_LENGTH } from '../keystore/share.ts';
import type { RewrapJob } from '../signer/rewrap.ts';

/** Shapes of the seal and the root key, of what comes in and what goes out. */

const SEAL_TYPES = ['file', 'passphrase', 'shamir'] as const;
const MIN_PASSPHRASE = 12;

const time = z.string().meta({ description: 'RFC 3339, UTC, milliseconds.' });
const count = z.int().min(2).max(MAX_SHARES);

export const passphraseSchema = z.string().min(1).max(1024);
export const shareSchema = z
  .string()
  .min(1)
  .max(2 * SHARE_TEXT_LENGTH)
  .meta({ description: 'One share, as it was shown: css1-…' });

/** What opens the seal in force. */
export const currentSealSchema = z.union([
  z.strictObject({ passphrase: passphraseSchema }),
  z.strictObject({
    sealKey: z
      .string()
      .regex(/^0x[0-9a-f]{64}$/, 'must be the 32 bytes of the seal key file, lower-case hex with 0x')
      .meta({ description: 'The 32 bytes of the seal key file, hex.' }),
  }),
]);

/** A seal that is to be made. */
export const newSealSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('passphrase'),
    passphrase: passphraseSchema.min(MIN_PASSPHRASE),
    kdf: kdfChoiceSchema.optional(),
  }),
  z.strictObject({
    type: z.literal('shamir'),
    shares: count.meta({ description: 'How many shares are made.' }),
    threshold: count.meta({ description: 'How many of them open the seal.' }),
  }),
]);

export const sharesShape = z.array(z.string()).meta({
  description: 'Of a seal in shares, all of them. They are shown this once, and kept nowhere.',
});

export const sealShape = z.strictObject({
  type: z.enum(SEAL_TYPES).nullable(),
  set: z.string().optional().meta({ description: 'Of a seal in shares: which shares belong to it.' }),
  shares: z.int().optional(),
  threshold: z.int().optional(),
  have: z.int().optional().meta({ description: 'Shares that were given so far.' }),
  warning: z.string().optional(),
});

export const keyringShape = z
  .strictObject({
    term: z.int().meta({ description: 'The newest: what is sealed now is sealed under it.' }),
    createdAt: time,
    encryptions: z.int().meta({ description: 'Under it, at most; a new term comes before 2^32.' }),
    oldTermKeys: z.int().meta({ description: 'Secrets that are sealed under an older one still.' }),
  })
  .nullable();

const sideShape = z.strictObject({
  type: z.enum(SEAL_TYPES),
  shares: z.int().optional(),
  threshold: z.int().optional(),
  set: z.string().optional(),
});

export const rekeyShape = z.strictObject({
  id: z.string(),
  from: sideShape,
  to: sideShape,
  stage: z.enum(['authorize', 'verify']).meta({
    description:
      '`authorize`: shares of the seal in force are awaited. `verify`: the new passphrase or the new shares, to be shown to open.',
  }),
  have: z.int().optional().meta({ description: 'Shares that were given in this stage.' }),
  threshold: z.int().optional().meta({ description: 'Shares that the stage takes.' }),
  startedAt: time,
  expiresAt: time.meta({ description: 'It is cancelled when nobody goes on with it until then.' }),
});

export const rekeyAnswerShape = z.strictObject({ rekey: rekeyShape, shares: sharesShape.optional() });

export const rewrapShape = z.strictObject({
  id: z.string(),
  state: z.enum(['running', 'done']),
  term: z.int().meta({ description: 'The newest term when it was started.' }),
  total: z.int().meta({ description: 'Secrets that were under an older term.' }),
  done: z.int(),
  failed: z.int().meta({ description: 'Those that do not open, and stay as they are.' }),
  startedAt: time,
  finishedAt: time.optional(),
});

export function jobToJson(job: RewrapJob): Answer & { readonly id: string } {
  const { id, state, term, total, done, failed, startedAt, finishedAt } = job;
  const finished = finishedAt !== undefined && { finishedAt };
  return { id, state, term, total, done, failed, startedAt, ...finished };
}
