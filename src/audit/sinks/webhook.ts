import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { SecureContext } from 'node:tls';
import { wipe } from '../../bytes.ts';
import { CountersignError } from '../../errors.ts';
import { request as requestHttp } from '../../node-http.ts';
import { NotTaken, type Batch, type Sink } from './sink.ts';
import { clientContext, readSetting, type TlsClientFiles } from './tls-client.ts';
import { parseSecret, signedHeaders } from './webhook-signature.ts';

export interface WebhookTarget extends TlsClientFiles {
  /** https, or http on this machine. */
  readonly url: string;
  /** One, or the new and the old one while receivers change over. */
  readonly secretFiles: readonly string[];
  /** What its first line says is sent as `Authorization`. */
  readonly authorizationFile?: string | undefined;
  readonly format: 'json' | 'ndjson';
  readonly timeoutSeconds: number;
}

/** Of an answer, which is not looked at, so much is read; what is longer is cut off. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** No longer is waited, whatever the other side asks for. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/**
 * A POST of each batch, signed as Standard Webhooks 1.0 say. Any 2xx is a receipt; a redirect is not followed; 410 ends
 * it until a reload. Files of secrets are read for each attempt, so that they can be changed at any time.
 */
export class Webhook implements Sink {
  readonly #name: string;
  readonly #target: WebhookTarget;
  readonly #url: URL;
  #context: SecureContext;

  /** Throws `invalid_request` for unusable files. */
  constructor(name: string, target: WebhookTarget) {
    this.#name = name;
    this.#target = target;
    this.#url = new URL(target.url);
    this.#context = clientContext(name, target);
    this.#checkSecrets();
  }

  async deliver({ id, lines }: Batch, signal: AbortSignal): Promise<void> {
    const isJson = this.#target.format === 'json';
    const body = Buffer.from(isJson ? `[${lines.join(',')}]` : `${lines.join('\n')}\n`, 'utf8');
    const secrets = this.#secrets();
    const signed = signedHeaders(id, Math.floor(Date.now() / 1_000), body, secrets);
    wipe(...secrets);
    const headers = {
      'content-type': isJson ? 'application/json' : 'application/x-ndjson',
      'content-length': body.length,
      'user-agent': 'countersign',
      ...signed,
      ...this.#authorization(),
    };
    const answer = await this.#post(headers, body, signal);
    judge(answer);
  }

  reload(): void {
    this.#context = clientContext(this.#name, this.#target);
    this.#checkSecrets();
  }

  async close(): Promise<void> {}

  #checkSecrets(): void {
    wipe(...this.#secrets());
    this.#authorization();
  }

  #secrets(): Buffer[] {
    return this.#target.secretFiles.map((file) =>
      parseSecret(readSetting(this.#name, 'secretFiles', file), `audit sink ${this.#name}: ${file}`),
    );
  }

  #authorization(): { readonly authorization?: string } {
    const file = readSetting(this.#name, 'authorizationFile', this.#target.authorizationFile);
    if (file === undefined) return {};
    const [authorization = ''] = file.toString('latin1').split(/\r?\n/, 1);
    wipe(file);
    if (/^[ -~]+$/.test(authorization)) return { authorization };
    throw new CountersignError(
      'invalid_request',
      `audit sink ${this.#name}: authorizationFile must begin with a line such as "Bearer …", in ASCII`,
    );
  }

  /** The head of the answer; its body has been read, or cut off. */
  #post(
    headers: { readonly [name: string]: string | number },
    body: Buffer,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { timeoutSeconds } = this.#target;
    return new Promise((resolve, reject) => {
      const request = this.#url.protocol === 'https:' ? requestHttps : requestHttp;
      const options = {
        method: 'POST',
        headers,
        agent: false as const,
        secureContext: this.#context,
        rejectUnauthorized: true,
        signal,
      };
      const asked = request(this.#url, options);
      const late = setTimeout(
        () => asked.destroy(new Error(`no answer within ${timeoutSeconds} s`)),
        timeoutSeconds * 1_000,
      );
      const done = (settle: () => void): void => {
        clearTimeout(late);
        settle();
      };
      asked.on('error', (error) => done(() => reject(error)));
      asked.on('response', (answer) => {
        let length = 0;
        answer.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > MAX_ANSWER_BYTES) answer.destroy();
        });
        answer.on('error', () => undefined);
        // However its body ends: the status has been said.
        answer.on('close', () => done(() => resolve(answer)));
      });
      asked.end(body);
    });
  }
}

function judge({ statusCode = 0, headers }: IncomingMessage): void {
  if (statusCode >= 200 && statusCode < 300) return;
  if (statusCode === 410) throw new NotTaken('HTTP 410: the receiver wants no more', 'never');
  throw new NotTaken(`HTTP ${statusCode}`, retryAfter(headers['retry-after']));
}

/** RFC 9110, 10.2.3: seconds, or a date. In milliseconds; 0 when it says nothing. */
function retryAfter(value: string | undefined): number {
  if (value === undefined) return 0;
  const ms = /^\d{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}
