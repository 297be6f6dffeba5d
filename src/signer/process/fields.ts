import { z } from 'zod';
import { asBuffer } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';

/** What the fields of a frame hold (link.ts), read the same way by all that answer frames. */
export type Fields = readonly Uint8Array[];

/** A key that is to be sealed; its address comes with it. */
export const newKeySchema = z.strictObject({
  keyId: z.string(),
  version: z.int().positive(),
  curve: z.enum(['secp256k1', 'ed25519']),
  exportable: z.boolean().default(false),
});

/** A key that is sealed. */
export const identitySchema = newKeySchema.omit({ exportable: true }).extend({ address: z.string() });

export function at(fields: Fields, index: number): Uint8Array {
  const field = fields[index];
  if (field === undefined) throw new CountersignError('internal', 'a field is missing');
  return field;
}

export function handleOf(field: Uint8Array): number {
  return asBuffer(field).readUInt32BE(0);
}

export function text(field: Uint8Array): string {
  return asBuffer(field).toString('utf8');
}

export function json(field: Uint8Array): unknown {
  return JSON.parse(text(field));
}
