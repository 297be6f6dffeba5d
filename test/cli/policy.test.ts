import { createHmac } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirectory, startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, runCli, valueOf, type Cli, type Ran } from './run.ts';

const PAYEE = '0x1111111111111111111111111111111111111111';

/** @param onExceed of the day's limit */
function policy(revision: number, onExceed = 'deny'): string {
  return `apiVersion: countersign/policy/v1
revision: ${revision}
approvals:
  finance: { all: [{ role: approver, m: 1 }] }
  emergency: { all: [{ role: approver, m: 1 }, { role: policy-admin, m: 1 }] }
limits:
  day: { meter: value, per: [key], window: { rolling: 24h, bucket: 5m }, max: "0.5 ether", onExceed: ${onExceed} }
rules:
  - id: pay
    effect: allow
    principals: { roles: [signer] }
    keys: { names: [demo] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 1 }
        - to: { in: ["${PAYEE}"] }
        - maxTotalFee: { lte: "0.01 ether" }
  - { id: trial, effect: deny, mode: shadow, operations: [transaction], when: { value: { gt: "0.5 ether" } } }
breakGlass: { approval: emergency, principals: { roles: [signer] }, keys: { names: [demo] }, operations: [transaction] }
`;
}

const SUITE = `suite: pay
now: 2026-11-20T10:00:00Z
tests:
  - name: strangers get nothing
    as: { roles: [signer] }
    key: { name: demo }
    transaction: { type: 2, chainId: 1, nonce: 0, to: "0x2222222222222222222222222222222222222222", value: "1", gasLimit: "21000", maxFeePerGas: "30 gwei", maxPriorityFeePerGas: "1 gwei" }
    expect: { effect: deny }
`;

let service: RunningService;
let directory: string;
let admin: Cli;
let demo: Cli;
/** Another policy-admin, and an approver. */
let paul: Cli;
let alice: Cli;

beforeAll(async () => {
  service = await startService({ policy: policy(1) });
  directory = makeDirectory();
  admin = cliFor(service.url, path.join(service.data, 'admin.token'));
  demo = cliFor(service.url, path.join(service.data, 'demo.token'));
  paul = await person('paul', 'policy-admin');
  alice = await person('alice', 'approver');
});
afterAll(async () => await service.stop());

async function person(name: string, role: string): Promise<Cli> {
  const token = path.join(directory, `${name}.token`);
  jsonOf(await admin(`principal create ${name} --role ${role} --json`));
  jsonOf(await admin(`token create ${name} --output ${token} --json`));
  return cliFor(service.url, token);
}

function file(name: string, content: string): string {
  const where = path.join(directory, name);
  mkdirSync(path.dirname(where), { recursive: true });
  writeFileSync(where, content);
  return where;
}

/** @param value in ether */
function transaction(nonce: number, value: string): string[] {
  const fees = ['--max-fee-per-gas', '30 gwei', '--max-priority-fee-per-gas', '1 gwei'];
  const what = ['--to', PAYEE, '--value', `${value} ether`, '--chain-id', '1', '--nonce', `${nonce}`];
  return ['tx', 'demo', ...what, '--gas-limit', '21000', ...fees];
}

/** `demo` with arguments that have spaces. */
async function asDemo(...args: string[]): Promise<Ran> {
  const token = path.join(service.data, 'demo.token');
  return await runCli(args, { env: { COUNTERSIGN_URL: service.url, COUNTERSIGN_TOKEN_FILE: token } });
}

describe('policy propose', () => {
  it('names the file of a mistake, as lint does', async () => {
    const bad = file('bad.yaml', policy(2).replace('"0.01 ether"', '"0.01 eth"'));
    const problem = `  rules[0].when.all[2].maxTotalFee.lte: ${bad}:18:31: "eth" is not a unit here`;
    expect((await runCli(['policy', 'lint', bad])).stdout).toContain(problem);
    for (const command of ['propose', 'diff', 'replay', 'explain message demo hello --policy']) {
      const refused = await admin(`policy ${command} ${bad}`);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain(`countersign: the policy is not valid: ${bad}:18:31: `);
      expect(refused.stderr).toContain(problem);
      expect(refused.stderr).not.toContain('document:');
    }
  });

  it('brings a policy in force with the approval of another, and keeps its suites by the name of the file', async () => {
    const document = file('pay.yaml', policy(2, '{ approval: finance }'));
    const suite = file('suites/pay.test.yaml', SUITE);
    const proposed = await admin(`policy propose ${document} --suite ${suite}`);
    expect(proposed).toMatchObject({ code: 0, stderr: '' });
    expect(proposed.stdout).toContain('  test suite "pay.test.yaml": added\n');
    const id = valueOf(proposed, 'proposal') ?? '';
    const own = await admin(`policy approve ${id}`);
    expect(own).toMatchObject({ code: 3, stdout: '' });
    expect(valueOf(await paul(`policy approve ${id}`), 'status')).toBe('accepted');
    expect(jsonOf(await admin('policy show --json'))).toMatchObject({ revision: 2 });

    const other = file('elsewhere/pay.test.yaml', SUITE.replace('suite: pay', 'suite: payments'));
    const next = file('next.yaml', policy(3, '{ approval: finance }'));
    const replaced = await admin(`policy propose ${next} --suite ${other}`);
    expect(replaced.stdout).toContain('  test suite "pay.test.yaml": replaced');
    expect((await admin(`policy reject ${valueOf(replaced, 'proposal')}`)).code).toBe(0);
  });

  it('refuses a policy that nobody could change any more, and says who is missing', async () => {
    const three = 'change: { approval: three }';
    const document = policy(9).replace(
      'limits:',
      `  three: { all: [{ role: policy-admin, m: 3 }] }\nlimits:`,
    );
    const refused = await admin(`policy propose ${file('locked.yaml', `${document}${three}\n`)}`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(
      'countersign: nobody could change this policy: a change takes 3 of role policy-admin',
    );
    const coded = document.replace('m: 3 }]', 'm: 1 }], credential: otp');
    const unarmed = await admin(`policy propose ${file('coded.yaml', `${coded}${three}\n`)}`);
    expect(unarmed.stderr).toContain('with a second factor (countersign totp enrol), beside who proposes it');
    const proposed = await admin(`policy propose ${file('open.yaml', document)}`);
    expect(proposed.stdout).toContain('\nTo know:\n  nobody can give the approval three now: ');
    expect((await admin(`policy reject ${valueOf(proposed, 'proposal')}`)).code).toBe(0);
  });

  it('prints no table without rows', async () => {
    const none = { code: 0, stdout: '' };
    expect(await admin('policy proposals --status expired')).toEqual({ ...none, stderr: 'no proposals\n' });
    expect(await alice('request list')).toEqual({ ...none, stderr: 'no requests\n' });
  });
});

describe('policy replay', () => {
  it('takes the options of every command', async () => {
    const document = path.join(directory, 'pay.yaml');
    const token = path.join(service.data, 'admin.token');
    const replayed = await paul(
      `policy replay ${document} --from 2020-01-01T00:00:00Z --json --token-file ${token}`,
    );
    expect(jsonOf(replayed)).toMatchObject({ changed: [], skipped: 0 });
  });
});

describe('policy explain', () => {
  it('says what is left of a limit, in its unit', async () => {
    const explained = await asDemo('policy', 'explain', ...transaction(0, '0.2'));
    expect(explained.stdout).toContain(
      '\nLimits:\n  day for demo: takes 0.2 ether; 0.5 ether of 0.5 ether left\n',
    );
    expect(explained.stdout).toMatch(/^ {2}matches {3}pay \(allow\)$/m);
  });

  it('tells what break-glass would do, and asks about a version', async () => {
    const stranger = transaction(0, '0.2').with(3, '0x2222222222222222222222222222222222222222');
    const denied = await asDemo('policy', 'explain', ...stranger);
    expect(denied.code).toBe(3);
    expect(denied.stdout).toMatch(/^ {2}no match {2}pay \(allow\): to: /m);
    const asked = await asDemo(
      'policy',
      'explain',
      ...stranger,
      '--break-glass',
      'due today',
      '--version',
      '1',
    );
    expect(asked.code).toBe(0);
    expect(valueOf(asked, 'approvals')).toBe('emergency');
    expect((await asDemo('policy', 'explain', ...stranger, '--version', '2')).code).toBe(1);
  });
});

describe('request', () => {
  it('that a policy makes void is named before anybody approves that policy', async () => {
    const waiting = await asDemo('sign', ...transaction(0, '0.6'));
    const id = valueOf(waiting, 'request') ?? '';
    const proposed = await admin(`policy propose ${file('void.yaml', policy(9, '{ approval: finance }'))}`);
    expect(proposed.stdout).toContain(`\nTo know:\n  1 open request for approval becomes void: ${id}\n`);
    expect((await admin(`policy reject ${valueOf(proposed, 'proposal')}`)).code).toBe(0);
    expect(valueOf(await demo(`request show ${id}`), 'status')).toBe('pending');
    expect((await demo(`request cancel ${id}`)).code).toBe(0);
  });

  it('says which approval misses whom', async () => {
    const stranger = transaction(0, '0.6').with(3, '0x2222222222222222222222222222222222222222');
    const waiting = await asDemo('sign', ...stranger, '--break-glass', 'due today');
    expect(waiting.code).toBe(0);
    expect(valueOf(waiting, 'missing')).toBe(
      '1 of approver (emergency), 1 of policy-admin (emergency), 1 of approver (finance)',
    );
    expect((await demo(`request cancel ${valueOf(waiting, 'request')}`)).code).toBe(0);
  });

  it('takes a one-time code, and says how to give it', async () => {
    const { secret } = jsonOf(await alice('totp enrol --json')) as { secret: string };
    const confirmed = await alice('totp confirm --otp-file -', { stdin: codeOf(secret, 0) });
    expect(confirmed).toMatchObject({ code: 0, stdout: 'alice has a second factor\n' });
    const waiting = await asDemo('sign', ...transaction(0, '0.6'));
    const id = valueOf(waiting, 'request') ?? '';
    expect(valueOf(waiting, 'missing')).toBe('1 of approver');

    const refused = await alice(`request approve ${id}`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^countersign: this takes the one-time code of your second factor: give --otp, or --otp-file FILE\n {2}request \S+\n$/,
    );
    const approved = await alice(`request approve ${id} --otp-file -`, { stdin: codeOf(secret, 1) });
    expect(valueOf(approved, 'status')).toBe('signed');
    expect(valueOf(approved, 'approved by')).toMatch(/^alice at \S+ \(one-time code\)$/);
    expect(valueOf(await demo(`request show ${id}`), 'raw transaction')).toMatch(/^0x02/);

    const { items } = jsonOf(await admin('audit show --kind sign --limit 1 --json')) as {
      items: { index: number }[];
    };
    const entry = await admin(`audit show ${items[0]?.index}`);
    expect(valueOf(entry, 'approved by')).toBe('alice');
    expect(valueOf(entry, 'in shadow')).toBe('trial would deny');
  });
});

describe('a service whose policy file is damaged at the first start', () => {
  it('runs, signs nothing, says why, and takes the file once it is mended', async () => {
    const data = makeDirectory();
    const damaged = await startService({ data, policy: policy(1).replace('"0.01 ether"', '0.01') });
    const reason = `${path.join(data, 'policy.yaml')}:18:31: rules[0].when.all[2].maxTotalFee.lte: only plain decimal`;
    try {
      const status = await cliFor(damaged.url, path.join(data, 'admin.token'))('status');
      expect(status.code).toBe(1);
      expect(valueOf(status, 'state')).toBe('unsealed, not ready to sign');
      expect(status.stdout).toContain(`not ready: no policy: the policy is not valid: ${reason}`);
      const ready = await damaged.client().get('/readyz');
      expect(ready.status).toBe(503);
      expect(JSON.stringify(ready.body)).toContain('no policy: ');
      const signing = await cliFor(damaged.url, path.join(data, 'demo.token'))('sign message demo hello');
      expect(signing).toMatchObject({ code: 1, stdout: '' });
      expect(signing.stderr).toContain(
        `there is no policy in force, so nothing is signed: the policy is not valid: ${reason}`,
      );
    } finally {
      await damaged.stop();
    }
    const mended = await startService({ data, policy: policy(1) });
    try {
      expect((await cliFor(mended.url, path.join(data, 'admin.token'))('status')).code).toBe(0);
    } finally {
      await mended.stop();
    }
  });
});

/** RFC 6238 with a period of 30 s and 6 digits, `steps` from now. */
function codeOf(secret: string, steps: number): string {
  const bits = Array.from({ length: secret.length }, (_, at) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(secret.charAt(at)).toString(2).padStart(5, '0'),
  ).join('');
  const bytes = (bits.match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const mac = createHmac('sha1', Buffer.from(bytes)).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return `${(mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000}`.padStart(6, '0');
}
