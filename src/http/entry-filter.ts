import { z } from 'zod';
import { ENTRY_KINDS, OUTCOMES } from '../audit/entry.ts';
import { OPERATIONS } from '../intent/intent.ts';
import { nameSchema } from './shapes.ts';

const time = z.iso.datetime().transform((text) => new Date(text).toISOString());

/** Parameters that entries are found by; all that are given must hold. */
export const entryFilter = {
  principal: nameSchema.optional(),
  key: nameSchema.optional(),
  operation: z.enum(OPERATIONS).optional(),
  effect: z.enum(['allow', 'deny', 'require']).optional(),
  kind: z.enum(ENTRY_KINDS).optional(),
  outcome: z.enum(OUTCOMES).optional(),
};

/** `since` inclusive, `until` exclusive. */
export const entryTimes = { since: time.optional(), until: time.optional() };
