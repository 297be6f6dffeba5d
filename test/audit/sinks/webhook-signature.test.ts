import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseSecret, signedHeaders } from '../../../src/audit/sinks/webhook-signature.ts';

const docs = readFileSync(path.resolve(import.meta.dirname, '../../../docs/audit.md'), 'utf8');

/** The receiver's code in docs/audit.md. */
function codeOf(language: string): string {
  const blocks = [...docs.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  const code = blocks.find(([, of, text]) => of === language && /is_ours|isOurs/.test(text ?? ''))?.[2];
  if (code === undefined) throw new Error(`docs/audit.md has no receiver in ${language}`);
  return code;
}

const SECRET = Buffer.alloc(32, 7);
const OTHER = Buffer.alloc(32, 8);
const BODY = Buffer.from('[{"index":1,"reason":"ü \\u2028"}]');

/** Of a delivery signed with the other secret and this one, at a time, over a body. */
function deliveries(): { headers: object; body: string; ours: boolean }[] {
  const now = Math.floor(Date.now() / 1_000);
  const by = (...secrets: Buffer[]): object => signedHeaders('msg_1', now, BODY, secrets);
  const body = BODY.toString('base64');
  return [
    { headers: by(SECRET), body, ours: true },
    { headers: by(OTHER, SECRET), body, ours: true },
    { headers: by(OTHER), body, ours: false },
    { headers: { ...by(SECRET), 'webhook-id': 'msg_2' }, body, ours: false },
    { headers: { ...by(SECRET), 'webhook-timestamp': String(now + 1) }, body, ours: false },
    { headers: signedHeaders('msg_1', now - 600, BODY, [SECRET]), body, ours: false },
    { headers: by(SECRET), body: Buffer.from(`${BODY.toString()} `).toString('base64'), ours: false },
  ];
}

const HARNESS = {
  js: (code: string, secret: string): string =>
    `${code}\nlet text = ''; for await (const chunk of process.stdin) text += chunk;
     console.log(JSON.stringify(JSON.parse(text).map((d) => isOurs(d.headers, Buffer.from(d.body, 'base64'), '${secret}'))));`,
  python: (code: string, secret: string): string =>
    `${code}\nimport json, sys\nprint(json.dumps([is_ours(d["headers"], base64.b64decode(d["body"]), "${secret}") for d in json.load(sys.stdin)]))`,
};

describe('the receiver in docs/audit.md', () => {
  it.each([
    ['js', process.execPath, (code: string) => ['--input-type=module', '-e', code]],
    ['python', 'python3', (code: string) => ['-c', code]],
  ] as const)('in %s takes what is signed, fresh and whole, and nothing else', (language, command, args) => {
    const secret = `whsec_${SECRET.toString('base64')}`;
    const code = HARNESS[language](codeOf(language), secret);
    const given = deliveries();
    const said = execFileSync(command, args(code), { input: JSON.stringify(given), encoding: 'utf8' });
    expect(JSON.parse(said)).toEqual(given.map(({ ours }) => ours));
  });
});

describe('a secret', () => {
  const file = (text: string): Buffer => Buffer.from(text);

  it.each([24, 32, 64])('has %i bytes', (length) => {
    const secret = Buffer.alloc(length, 5);
    const bytes = file(`whsec_${secret.toString('base64')}\n`);
    expect(parseSecret(bytes, 'x')).toEqual(secret);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    '',
    'whsec_',
    SECRET.toString('base64'),
    `whsec_${Buffer.alloc(23).toString('base64')}`,
    `whsec_${Buffer.alloc(65).toString('base64')}`,
    `whsec_${SECRET.toString('base64')}!`,
    `whsec_${SECRET.toString('base64').slice(0, -1)}`,
    `whsec_${SECRET.toString('base64')}\nwhsec_${SECRET.toString('base64')}`,
  ])('is not %j', (text) => {
    expect(() => parseSecret(file(text), 'audit sink soc: f')).toThrow(/^audit sink soc: f must hold whsec_/);
  });
});

it('signs as the example of Standard Webhooks does', () => {
  // The example of the libraries at github.com/standard-webhooks/standard-webhooks.
  const secret = parseSecret(Buffer.from('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), 'x');
  const body = Buffer.from('{"test": 2432232314}');
  expect(signedHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, body, [secret])).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});
