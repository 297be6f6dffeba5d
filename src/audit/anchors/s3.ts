import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AwsV4Signer } from 'aws4fetch';
import { z } from 'zod';
import { parseWith } from '../../schema.ts';
import { exchangeWith, type Inbound, type Outbound } from '../outbound.ts';
import { nameOf, type Anchor } from './anchor.ts';
import type { AnchorSettings } from './settings.ts';

const credentialsSchema = z.strictObject({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
  sessionToken: z.string().min(1).optional(),
});

const MAX_ANSWER_BYTES = 1_000_000;

/**
 * A PUT of each note to a bucket that speaks the S3 API, signed with SigV4 and on the condition that nothing is there
 * (`If-None-Match: *`). The credentials are read for each attempt, so that they can be changed at any time. Throws
 * `invalid_request` when the CA file can't be read.
 */
export function s3Anchor(settings: AnchorSettings & { readonly type: 's3' }): Anchor {
  const { name, url, region, credentialsFile, ca, timeoutSeconds } = settings;
  const exchange = exchangeWith(new URL(url).origin, ca);
  const limits = { timeoutMs: timeoutSeconds * 1_000, maxBytes: MAX_ANSWER_BYTES };

  const send = async (
    method: 'PUT' | 'GET',
    object: string,
    body?: Buffer,
    more: Outbound['headers'] = {},
  ): Promise<Inbound> => {
    const { sessionToken, ...credentials } = await readCredentials(credentialsFile);
    const signer = new AwsV4Signer({
      ...credentials,
      ...(sessionToken !== undefined && { sessionToken }),
      method,
      url: object,
      headers: { ...more, 'x-amz-content-sha256': sha256(body ?? Buffer.alloc(0)) },
      service: 's3',
      region,
    });
    const { url: signedUrl, headers } = await signer.sign();
    return await exchange(
      {
        method,
        url: signedUrl,
        headers: Object.fromEntries(headers.entries()),
        ...(body !== undefined && { body }),
      },
      limits,
    );
  };

  return {
    name,
    publish: async (checkpoint) => {
      const object = `${url}/${nameOf(checkpoint)}`;
      const put = await send('PUT', object, Buffer.from(checkpoint.note, 'utf8'), {
        'content-type': 'text/plain; charset=utf-8',
        'if-none-match': '*',
      });
      if (put.status >= 200 && put.status < 300) return undefined;
      if (put.status !== 412) throw new Error(problemOf(put));
      const kept = await send('GET', object);
      if (kept.status !== 200)
        throw new Error(`there is an object already, and it cannot be read: ${problemOf(kept)}`);
      return kept.body.toString('utf8');
    },
  };
}

/** The status, and the `Code` of the error document: a word such as `AccessDenied`. */
function problemOf({ status, body }: Inbound): string {
  const [, code] = /<Code>([A-Za-z]{1,60})<\/Code>/.exec(body.toString('latin1')) ?? [];
  return code === undefined ? `HTTP ${status}` : `HTTP ${status} ${code}`;
}

/** Throws without a word of what is in the file. */
async function readCredentials(file: string): Promise<z.output<typeof credentialsSchema>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch {
    throw new Error(`the credentials file ${file} cannot be read as JSON`);
  }
  return parseWith(credentialsSchema, parsed, `the credentials file ${file}`);
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
