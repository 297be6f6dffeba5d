import path from 'node:path';
import { z } from 'zod';

const file = z
  .string()
  .min(1)
  .transform((name) => path.resolve(name));

/** Who may be asked whether a step may come. Nothing else can be reached: a plan names one of these, and never a URL. */
const webhook = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,30}$/, 'must be 1 to 31 of a-z, 0-9 and "-"'),
  /** https, or http on this machine. */
  url: z
    .string()
    .refine(isSafe, 'must be an https URL without user and fragment, or http to a loopback address'),
  ca: file.optional(),
  /** `whsec_…`; with two, both sign what goes out, and each is good for the answer. */
  secretFiles: z.array(file).min(1).max(2),
  timeoutSeconds: z.int().min(1).max(60).default(10),
});

export const rotationSchema = z.strictObject({
  webhooks: z
    .array(webhook)
    .max(32)
    .refine(
      (all) => new Set(all.map(({ name }) => name)).size === all.length,
      'must have a name of its own each',
    )
    .default([]),
});

export type RotationSettings = Readonly<z.output<typeof rotationSchema>>;
export type WebhookSettings = RotationSettings['webhooks'][number];

function isSafe(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || [url.username, url.password, url.hash].some((part) => part !== '')) return false;
  if (url.protocol === 'https:') return true;
  return url.protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
}
