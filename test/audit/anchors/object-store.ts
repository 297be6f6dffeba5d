import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** PUT and GET of the S3 API, with signatures checked as "Signature Version 4" of AWS has it; shares no code with the service. */
export interface ObjectStore {
  readonly url: string;
  readonly objects: Map<string, string>;
  /** Session tokens that came. */
  readonly tokens: string[];
  stop(): Promise<void>;
}

interface Account {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export async function startObjectStore(account: Account): Promise<ObjectStore> {
  const objects = new Map<string, string>();
  const tokens: string[] = [];
  const server = createServer((request, response) => void receive(request, response));
  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const name = decodeURIComponent(request.url ?? '');
    const token = request.headers['x-amz-security-token'];
    if (typeof token === 'string') tokens.push(token);
    const refuse = (status: number, code: string): void =>
      void response
        .writeHead(status, { 'content-type': 'application/xml' })
        .end(`<Error><Code>${code}</Code></Error>`);
    if (!isSigned(request, body, account)) refuse(403, 'SignatureDoesNotMatch');
    else if (request.method === 'GET' && objects.has(name)) response.end(objects.get(name));
    else if (request.method !== 'PUT') refuse(404, 'NoSuchKey');
    else if (request.headers['if-none-match'] === '*' && objects.has(name)) refuse(412, 'PreconditionFailed');
    else {
      objects.set(name, body.toString('utf8'));
      response.end();
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    tokens,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isSigned(
  request: IncomingMessage,
  body: Buffer,
  { accessKeyId, secretAccessKey, region }: Account,
): boolean {
  const { headers } = request;
  const [, id, date, place, signedHeaders, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  const time = String(headers['x-amz-date']);
  const payload = createHash('sha256').update(body).digest('hex');
  const mustBeSigned = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const names = signedHeaders?.split(';') ?? [];
  if (id !== accessKeyId || place !== `${region}/s3/aws4_request` || !time.startsWith(String(date)))
    return false;
  if (!mustBeSigned.every((name) => names.includes(name))) return false;
  if (headers['x-amz-content-sha256'] !== payload) return false;

  const path = (request.url ?? '')
    .split('/')
    .map((part) => encode(decodeURIComponent(part)))
    .join('/');
  const lines = names.map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, ' ')}\n`);
  const canonical = [request.method, path, '', lines.join(''), signedHeaders, payload].join('\n');
  const scope = `${String(date)}/${region}/s3/aws4_request`;
  const digest = createHash('sha256').update(canonical).digest('hex');
  const key = [String(date), region, 's3', 'aws4_request'].reduce<Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  const made = createHmac('sha256', key)
    .update(['AWS4-HMAC-SHA256', time, scope, digest].join('\n'))
    .digest('hex');
  return made === signature;
}

function encode(part: string): string {
  return encodeURIComponent(part).replaceAll(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
