import path from 'node:path';
import { z } from 'zod';
import { CountersignError } from '../../errors.ts';
import { parseWitnessVkey } from '../tree/cosignature.ts';

const file = z
  .string()
  .min(1)
  .transform((name) => path.resolve(name));

/** Where requests may go: a place, and nothing that would say who asks or what. */
export const prefixUrl = z
  .string()
  .refine(isPrefix, 'must be an http or https URL without user, query and fragment')
  .transform((text) => new URL(text).href.replace(/\/$/, ''));

function isPrefix(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    /^https?:$/.test(url.protocol) &&
    [url.username, url.password, url.search, url.hash].every((part) => part === '')
  );
}

const vkey = z.string().superRefine((text, context) => {
  try {
    parseWitnessVkey(text);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    context.addIssue({ code: 'custom', message: `is not one of a witness: ${error.message}` });
  }
});

const witness = z.strictObject({
  /** Names it, too. */
  vkey,
  /** Submission prefix: `/add-checkpoint` is added. */
  url: prefixUrl,
  ca: file.optional(),
});

/** Who cosigns the checkpoints, and how many of them it takes. */
export const witnessesSchema = z
  .strictObject({
    witnesses: z.array(witness).min(1).max(16),
    quorum: z.int().min(1),
    /** `strict`: no signature is shown before its entry is covered. */
    mode: z.enum(['async', 'strict']).default('async'),
    /** How long a signature waits for that, milliseconds. */
    timeoutMs: z.int().min(100).max(60_000).default(5_000),
  })
  .refine(({ witnesses, quorum }) => quorum <= witnesses.length, {
    path: ['quorum'],
    message: 'must not be more than there are witnesses',
  })
  .refine(({ witnesses }) => allDiffer(witnesses.map(({ vkey }) => vkey)), {
    path: ['witnesses'],
    message: 'must have a name and a key of its own each',
  });

export type WitnessSettings = Readonly<z.output<typeof witnessesSchema>>;

/** What a cosignature signs does not say the name: one key would be counted as two witnesses. */
function allDiffer(vkeys: readonly string[]): boolean {
  const keys = vkeys.flatMap((text) => {
    try {
      return [parseWitnessVkey(text)];
    } catch {
      // Which is said where it stands.
      return [];
    }
  });
  const names = new Set(keys.map(({ name }) => name));
  const publicKeys = new Set(keys.map(({ publicKey }) => publicKey.toString('hex')));
  return names.size === keys.length && publicKeys.size === keys.length;
}
