import { timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { exchangeWith, type Inbound } from '../audit/outbound.ts';
import { parseSecret, signedHeaders } from '../audit/sinks/webhook-signature.ts';
import { wipe } from '../bytes.ts';
import type { Asker, Question } from './asker.ts';
import type { WebhookSettings } from './settings.ts';

const MAX_ANSWER_BYTES = 16 * 1024;
/** How far the clock of who answers may be off: Standard Webhooks 1.0. */
const TOLERANCE_SECONDS = 300;

const answerSchema = z.strictObject({ question: z.string(), answer: z.enum(['yes', 'no']) });

/**
 * A POST of the question, signed as Standard Webhooks 1.0 say. The answer is signed in the same way, with the same
 * secret, and has the question's id as its `webhook-id` and in its body: so it is to this question, and the question
 * sent back is no answer. The secrets are read for each attempt, so that they can be changed at any time. Redirects are
 * not followed. Throws `invalid_request` when the CA file can't be read.
 */
export function webhookAsker(
  { name, url, ca, secretFiles, timeoutSeconds }: WebhookSettings,
  now: () => number,
): Asker {
  const target = new URL(url);
  const exchange = exchangeWith(target.origin, ca);
  const limits = { timeoutMs: timeoutSeconds * 1_000, maxBytes: MAX_ANSWER_BYTES };

  return {
    ask: async (question) => {
      const body = Buffer.from(JSON.stringify({ type: 'rotation.step', ...question }), 'utf8');
      const secrets: Buffer[] = [];
      try {
        for (const file of secretFiles)
          secrets.push(parseSecret(await readFile(file), `rotation webhook ${name}: ${file}`));
        const signed = signedHeaders(question.id, Math.floor(now() / 1_000), body, secrets);
        const headers = { 'content-type': 'application/json', 'user-agent': 'countersign', ...signed };
        const answer = await exchange({ method: 'POST', url: target, headers, body }, limits);
        return readAnswer(answer, question, secrets, now());
      } finally {
        wipe(...secrets);
      }
    },
  };
}

function readAnswer(
  { status, headers, body }: Inbound,
  { id }: Question,
  secrets: readonly Uint8Array[],
  now: number,
): boolean {
  if (status !== 200) throw new Error(`HTTP ${status}`);
  const seconds = Number(headers['webhook-timestamp']);
  const given = headers['webhook-signature'];
  if (headers['webhook-id'] !== id || typeof given !== 'string')
    throw new Error('an answer without signature');
  if (!(Math.abs(now / 1_000 - seconds) <= TOLERANCE_SECONDS))
    throw new Error('an answer with the time of another moment');
  const good = secrets.some((secret) => {
    const wanted = Buffer.from(signedHeaders(id, seconds, body, [secret])['webhook-signature']);
    return given.split(' ').some((one) => {
      const bytes = Buffer.from(one);
      return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
    });
  });
  if (!good) throw new Error('an answer with a wrong signature');
  const read = answerSchema.safeParse(parse(body));
  if (!read.success || read.data.question !== id) throw new Error('an answer that is none to the question');
  return read.data.answer === 'yes';
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
