import { readFile } from 'node:fs/promises';
import { wipe } from '../../bytes.ts';
import { exchangeWith } from '../outbound.ts';
import { parseSecret, signedHeaders } from '../sinks/webhook-signature.ts';
import type { Anchor } from './anchor.ts';
import type { AnchorSettings } from './settings.ts';

/** An answer says no more than its status. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * A POST of each note, signed as Standard Webhooks 1.0 say; any 2xx is a receipt. The secrets are read for each attempt,
 * so that they can be changed at any time. Throws `invalid_request` when the CA file can't be read.
 */
export function webhookAnchor({
  name,
  url,
  ca,
  secretFiles,
  timeoutSeconds,
}: AnchorSettings & { readonly type: 'webhook' }): Anchor {
  const target = new URL(url);
  const exchange = exchangeWith(target.origin, ca);
  const limits = { timeoutMs: timeoutSeconds * 1_000, maxBytes: MAX_ANSWER_BYTES };

  return {
    name,
    publish: async ({ size, note }) => {
      const body = Buffer.from(note, 'utf8');
      const secrets: Buffer[] = [];
      for (const file of secretFiles)
        secrets.push(parseSecret(await readFile(file), `anchor ${name}: ${file}`));
      const signed = signedHeaders(`checkpoint-${size}`, Math.floor(Date.now() / 1_000), body, secrets);
      wipe(...secrets);
      const headers = { 'content-type': 'text/plain; charset=utf-8', 'user-agent': 'countersign', ...signed };
      const { status } = await exchange({ method: 'POST', url: target, headers, body }, limits);
      if (status < 200 || status > 299) throw new Error(`HTTP ${status}`);
      return undefined;
    },
  };
}
