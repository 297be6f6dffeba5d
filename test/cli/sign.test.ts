import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Transaction, verifyMessage, verifyTypedData } from 'ethers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirectory, startService, type RunningService, type SignAnswer } from '../service.ts';
import { cliFor, jsonOf, runCli, valueOf, type Cli, type RunOptions } from './run.ts';

const POLICY = `
apiVersion: countersign/policy/v1
revision: 7
rules:
  - id: small-payments
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when: { all: [ { chainId: { eq: 31337 } }, { value: { lte: "1 ether" } }, { maxTotalFee: { lte: "0.05 ether" } } ] }
  - id: texts
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [message, typed-data]
  - id: delegation
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [authorization]
    when: { all: [ { chainId: { eq: 31337 } }, { authorizations: { every: { address: { eq: "0x2222222222222222222222222222222222222222" } } } } ] }
  - id: logins
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [digest]
    when: { digest: { purpose: { eq: "login" } } }
`;
const TYPED_DATA = {
  domain: { name: 'Ether Mail', version: '1', chainId: 1 },
  types: { Mail: [{ name: 'contents', type: 'string' }] },
  primaryType: 'Mail',
  message: { contents: 'Hello, Bob!' },
};
const DEAD = '0x000000000000000000000000000000000000dEaD';
const TRANSACTION = `--to ${DEAD} --chain-id 31337 --gas-limit 21000 --max-fee-per-gas 2000000000 --max-priority-fee-per-gas 1`;

let service: RunningService;
let admin: Cli;
let demo: Cli;
let demoEnv: RunOptions;
let directory: string;
let address: string;

beforeAll(async () => {
  service = await startService({ policy: POLICY });
  directory = makeDirectory();
  const demoToken = path.join(service.data, 'demo.token');
  admin = cliFor(service.url, path.join(service.data, 'admin.token'));
  demo = cliFor(service.url, demoToken);
  demoEnv = { env: { COUNTERSIGN_URL: service.url, COUNTERSIGN_TOKEN_FILE: demoToken } };
  const key = jsonOf(await admin('key show demo --json')) as { versions: { address: string }[] };
  address = key.versions[0]!.address;
});
afterAll(async () => await service.stop());

function file(name: string, content: string): string {
  const where = path.join(directory, name);
  writeFileSync(where, content, { mode: 0o600 });
  return where;
}

describe('sign', () => {
  it('signs a transaction from flags, with amounts in units', async () => {
    const args = ['sign', 'tx', 'demo', ...TRANSACTION.split(' '), '--nonce', '0', '--value', '0.5 ether'];
    const signed = await runCli(args, demoEnv);
    expect(signed).toMatchObject({ code: 0, stderr: '' });
    const transaction = Transaction.from(valueOf(signed, 'raw transaction') ?? '');
    expect(transaction.value).toBe(5n * 10n ** 17n);
    expect(transaction.from?.toLowerCase()).toBe(address);
    expect(valueOf(signed, 'transaction hash')).toBe(transaction.hash);
    expect(valueOf(signed, 'rule')).toBe('small-payments (policy revision 7)');
    expect(valueOf(signed, 'audit entry')).toMatch(/^\d+$/);
  });

  it('signs a transaction from a file and from standard input, and prints JSON when asked for both', async () => {
    const transaction = { chainId: 31337, nonce: 1, to: DEAD, gasLimit: 21000, gasPrice: '1000000000' };
    const input = file('transaction.json', JSON.stringify(transaction));
    const fromFile = await demo(`sign tx demo --input ${input}`);
    expect(valueOf(fromFile, 'signature')).toMatch(/^0x[0-9a-f]{130}$/);
    const again = await demo('sign tx demo --input - --json', { stdin: JSON.stringify(transaction) });
    const answer = jsonOf(again) as SignAnswer;
    expect(answer.rawTransaction).toBe(valueOf(fromFile, 'raw transaction'));
    const globally = await demo(`--json sign tx demo --input ${input}`);
    expect((jsonOf(globally) as SignAnswer).signature).toBe(answer.signature);
    const body = JSON.stringify({ transaction });
    const wrapped = jsonOf(await demo('sign tx demo --input - --json', { stdin: body })) as SignAnswer;
    expect(wrapped.rawTransaction).toBe(answer.rawTransaction);
    const more = await demo('sign tx demo --input -', { stdin: JSON.stringify({ transaction, version: 1 }) });
    expect(more.code).toBe(1);
    expect(more.stderr).toContain('\n  transaction.transaction: ');
  });

  it('reads a file as strictly as the service reads a body', async () => {
    const twice = await demo('sign tx demo --input -', { stdin: `{"to":"${DEAD}","to":"${DEAD}"}` });
    expect(twice).toMatchObject({
      code: 1,
      stderr: 'countersign: standard input cannot be used: to: is given twice\n',
    });
    const rounded = await demo('sign tx demo --input -', { stdin: '{"value":9007199254740993}' });
    expect(rounded.stderr).toContain('a JSON number must be an integer below 2^53');
    const both = await demo(`sign tx demo --input - --nonce 1`, { stdin: '{}' });
    expect(both.stderr).toContain('with --input or with flags, not both');
  });

  it('lists every wrong field, then the request id', async () => {
    const { code, stdout, stderr } = await demo(`sign tx demo --to 0x12 --gas-limit x`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const lines = stderr.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^countersign: the request is not valid: /);
    const fields = lines.slice(1, -1).map((line) => /^ {2}transaction\.(\w+): \S/.exec(line)?.[1]);
    expect(fields).toEqual(expect.arrayContaining(['chainId', 'nonce', 'to', 'gasLimit']));
    expect(lines.at(-1)).toMatch(/^ {2}request [0-9a-f-]{36}$/);
  });

  it('signs messages, typed data, authorizations and digests', async () => {
    const message = await runCli(['sign', 'message', 'demo', 'hello, world'], demoEnv);
    expect(verifyMessage('hello, world', valueOf(message, 'signature') ?? '').toLowerCase()).toBe(address);
    const bytes = await demo('sign message demo --data 0x00ff');
    expect(verifyMessage(new Uint8Array([0, 255]), valueOf(bytes, 'signature') ?? '').toLowerCase()).toBe(
      address,
    );
    expect((await demo('sign message demo')).stderr).toContain('give the text of the message, or --data');

    const typed = await demo('sign typed-data demo --input -', { stdin: JSON.stringify(TYPED_DATA) });
    const { domain, types, message: mail } = TYPED_DATA;
    expect(verifyTypedData(domain, types, mail, valueOf(typed, 'signature') ?? '').toLowerCase()).toBe(
      address,
    );

    const authorization = await demo(
      `sign authorization demo --chain-id 31337 --address 0x${'22'.repeat(20)} --nonce 0`,
    );
    expect(valueOf(authorization, 'rule')).toBe('delegation (policy revision 7)');

    const digest = `0x${'ab'.repeat(32)}`;
    expect(valueOf(await demo(`sign digest demo ${digest} --purpose login`), 'digest')).toBe(digest);
    const denied = await demo(`sign digest demo ${digest} --purpose other`);
    expect(denied).toMatchObject({ code: 3, stdout: '' });
  });
});

describe('denials', () => {
  it('ends with 3 when the policy denies, and names the rule that came close', async () => {
    const args = ['sign', 'tx', 'demo', ...TRANSACTION.split(' '), '--nonce', '9', '--value', '2 ether'];
    const { code, stdout, stderr } = await runCli(args, demoEnv);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/\n {2}rule small-payments: .*\n {2}request /);
  });

  it('ends with 3 when the role does not allow it', async () => {
    const { code, stderr } = await demo('key create mine');
    expect(code).toBe(3);
    expect(stderr).toContain('countersign: this takes the role admin\n');
  });
});

describe('policy', () => {
  it('shows the policy as YAML that is the same policy', async () => {
    const shown = await admin('policy show');
    const copy = file('copy.yaml', shown.stdout);
    const { hash } = jsonOf(await admin('policy show --json')) as { hash: string };
    expect(shown.stdout).toMatch(new RegExp(`^# revision 7, hash ${hash}\n`));
    expect(jsonOf(await runCli(['policy', 'lint', copy, '--json']))).toEqual({
      ok: true,
      revision: 7,
      hash,
      rules: 4,
    });
  });

  it('lints offline, and prints every problem', async () => {
    const bad = file('bad.yaml', 'revision: 1\nrules:\n  - id: A\n    effect: perhaps\n');
    const linted = await runCli(['policy', 'lint', bad]);
    expect(linted).toMatchObject({ code: 1, stderr: '' });
    expect(linted.stdout).toMatch(/^FAILED .*bad\.yaml: 4 problems\n/);
    expect(linted.stdout).toContain(`  rules[0].effect: ${bad}:4:13: must be one of allow, deny, require`);
    const rule = '{ id: none, effect: deny, operations: [digest] }';
    const one = `apiVersion: countersign/policy/v1\nrevision: 3\nrules: [${rule}]\n`;
    const good = await runCli(['policy', 'lint', '-'], { stdin: one });
    expect(good.stdout).toMatch(/^OK {2}standard input: revision 3, 1 rule, hash [0-9a-f]{64}\n$/);
    const asJson = await runCli(['policy', 'lint', '-', '--json'], { stdin: readFileSync(bad, 'utf8') });
    expect(asJson.code).toBe(1);
    expect((JSON.parse(asJson.stdout) as { problems: object[] }).problems).toHaveLength(4);
  });

  it('explains a decision for oneself and for another principal, without signing', async () => {
    const size = async (): Promise<number> =>
      (jsonOf(await admin('status --json')) as { audit: { size: number } }).audit.size;
    const before = await size();
    const allowed = await admin('policy explain message demo hello --principal demo');
    expect(allowed).toMatchObject({ code: 0, stderr: '' });
    expect(valueOf(allowed, 'rule')).toBe('texts');
    const denied = await demo(`policy explain tx demo ${TRANSACTION} --nonce 0 --value 2000000000000000000`);
    expect(denied).toMatchObject({ code: 3, stderr: '' });
    expect(denied.stdout).toMatch(/^ {2}no match {2}small-payments \(allow\): value: /m);
    const typed = await demo('policy explain typed-data demo --input - --json', {
      stdin: JSON.stringify(TYPED_DATA),
    });
    expect(jsonOf(typed)).toMatchObject({ effect: 'allow', rule: 'texts' });
    expect(await size()).toBe(before);
  });
});
