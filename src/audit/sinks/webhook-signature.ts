import { createHmac } from 'node:crypto';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';

const PREFIX = 'whsec_';
/** Standard Webhooks 1.0, signature scheme. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/**
 * The secret in a file: `whsec_` and base64 of 24 to 64 bytes. Throws `invalid_request`, and quotes nothing.
 *
 * @param file wiped.
 */
export function parseSecret(file: Buffer, where: string): Buffer {
  const text = file.toString('latin1').trim();
  wipe(file);
  const secret = Buffer.from(text.slice(PREFIX.length), 'base64');
  const isWhole = text.startsWith(PREFIX) && secret.toString('base64') === text.slice(PREFIX.length);
  if (isWhole && secret.length >= MIN_SECRET_BYTES && secret.length <= MAX_SECRET_BYTES) return secret;
  wipe(secret);
  throw new CountersignError(
    'invalid_request',
    `${where} must hold whsec_ and the base64 of ${MIN_SECRET_BYTES} to ${MAX_SECRET_BYTES} random bytes`,
  );
}

/**
 * The headers of one attempt (Standard Webhooks 1.0): `webhook-signature` has one `v1,` signature for each secret.
 *
 * @param id has no full stop.
 * @param seconds since 1970.
 */
export function signedHeaders(
  id: string,
  seconds: number,
  body: Uint8Array,
  secrets: readonly Uint8Array[],
): {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
} {
  const signatures = secrets.map((secret) => {
    const digest = createHmac('sha256', secret).update(`${id}.${seconds}.`).update(body).digest('base64');
    return `v1,${digest}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': signatures.join(' '),
  };
}
