import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectStatus, makeDirectory, refusedStart, startService, type RunningService } from '../service.ts';
import { cliFor, freePort, jsonOf, runCli, valueOf, type Cli } from './run.ts';

const VECTORS = path.resolve(import.meta.dirname, '../../../shared/vectors/keystore-v3/ethereum-tests.json');

interface Shown {
  readonly items: readonly { readonly index: number; readonly entry: { readonly outcome: string } }[];
}

let service: RunningService;
let admin: Cli;
let demo: Cli;
let directory: string;

beforeAll(async () => {
  service = await startService();
  directory = makeDirectory();
  admin = cliFor(service.url, path.join(service.data, 'admin.token'));
  demo = cliFor(service.url, path.join(service.data, 'demo.token'));
});
afterAll(async () => await service.stop());

function file(name: string, content: string, mode = 0o600): string {
  const where = path.join(directory, name);
  writeFileSync(where, content);
  chmodSync(where, mode);
  return where;
}

describe('status and openapi', () => {
  it('shows the state to people and to programs', async () => {
    const shown = await admin('status');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(valueOf(shown, 'state')).toBe('unsealed, ready to sign');
    expect(valueOf(shown, 'policy')).toMatch(/^revision 1, [0-9a-f]{64}$/);
    expect(jsonOf(await admin('status --json'))).toMatchObject({
      sealed: false,
      ready: true,
      policy: { revision: 1 },
    });
  });

  it('prints the OpenAPI document without a credential', async () => {
    const printed = await runCli(['openapi', '--url', service.url]);
    expect(jsonOf(printed)).toMatchObject({ openapi: '3.1.0' });
  });

  it('takes its common options before and after the command', async () => {
    const token = path.join(service.data, 'admin.token');
    const before = await runCli([
      '--url',
      service.url,
      '--token-file',
      token,
      '--json',
      'key',
      'show',
      'demo',
    ]);
    const between = await runCli([
      'key',
      '--url',
      service.url,
      '--token-file',
      token,
      'show',
      'demo',
      '--json',
    ]);
    expect(jsonOf(before)).toEqual(jsonOf(between));
    const nearest = await runCli([
      '--url',
      'http://127.0.0.1:1',
      'status',
      '--url',
      service.url,
      '--token-file',
      token,
    ]);
    expect(nearest.code).toBe(0);
  });
});

describe('key', () => {
  it('creates, lists in columns, shows, disables and enables', async () => {
    const created = await admin('key create payroll --tag hot --tag eu');
    expect(created.code).toBe(0);
    expect(valueOf(created, 'tags')).toBe('hot, eu');

    const listed = await admin('key list --tag hot');
    const [head, row, ...rest] = listed.stdout.trimEnd().split('\n');
    expect(head).toMatch(/^NAME {5}STATE {4}VERSION {2}ADDRESS +TAGS +LAST USED$/);
    expect(row).toMatch(/^payroll {2}enabled {2}1 {8}0x[0-9a-f]{40} {2}hot, eu {2}never$/);
    expect(rest).toEqual([]);
    expect((jsonOf(await admin('key list --json')) as { items: object[] }).items).toHaveLength(2);

    const disabled = await runCli(
      ['key', 'disable', 'payroll', '--reason', 'suspected leak', '--json'],
      adminEnv(),
    );
    expect(jsonOf(disabled)).toMatchObject({ state: 'disabled' });
    const refused = await demo(`sign message payroll hello`);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('version 1 of key payroll is disabled');
    expect(valueOf(await admin('key enable payroll --version 1 --reason cleared'), 'state')).toBe('enabled');
  });

  it('wants a reason to disable, and says so', async () => {
    const { code, stderr } = await admin('key disable payroll');
    expect(code).toBe(1);
    expect(stderr).toBe("countersign: required option '--reason <text>' not specified\n");
  });

  it('does not let a name be a path', async () => {
    const { code, stderr } = await admin('key show ..');
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'countersign: name: ".." is not a name that anything here has\n',
    });
  });

  it('imports a private key from standard input, with or without 0x', async () => {
    const hex = '5a'.repeat(31) + '17';
    const imported = await admin('key import fresh --private-key-file - --tag cold --json', {
      stdin: `${hex}\n`,
    });
    expect(jsonOf(imported)).toMatchObject({
      name: 'fresh',
      tags: ['cold'],
      versions: [{ origin: 'imported' }],
    });
    expect(imported.stdout + imported.stderr).not.toContain(hex);
  });

  it('has nobody to ask without a terminal', async () => {
    const { code, stderr } = await admin('key import other');
    expect(code).toBe(1);
    expect(stderr).toContain(
      'there is no terminal to ask for the private key on: give --private-key-file FILE',
    );
  });

  it.skipIf(!existsSync(VECTORS))(
    'refuses a keystore that the public knows, unless it is allowed',
    async () => {
      const vectors = JSON.parse(readFileSync(VECTORS, 'utf8')) as Record<
        string,
        { json: object; password: string }
      >;
      const { json, password } = vectors['test1']!;
      const keystore = file('keystore.json', JSON.stringify(json));
      const passwordFile = file('password', `${password}\n`);
      const importing = `key import vector --keystore ${keystore} --password-file`;

      const refused = await admin(`${importing} ${passwordFile}`);
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/public knowledge .*\n {2}request [0-9a-f-]{36}\n$/);
      const wrong = await admin(`${importing} - --allow-well-known`, { stdin: 'not this' });
      expect(wrong.code).toBe(1);
      const accepted = await admin(`${importing} ${passwordFile} --allow-well-known`);
      expect(accepted.code).toBe(0);
      expect(valueOf(accepted, '  address')).toBe('0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b');
    },
  );
});

describe('principal and token', () => {
  it('creates a principal and its credential, uses it, and takes it away', async () => {
    const created = await admin('principal create ci --role signer --json');
    const { id } = jsonOf(created) as { id: string };
    expect((await admin('principal list')).stdout).toMatch(
      /^NAME +ROLES +STATE +ID$[^]*^ci +signer +enabled /m,
    );
    expect(valueOf(await admin('principal show ci'), 'id')).toBe(id);
    expect(valueOf(await admin(`principal show ${id}`), 'principal')).toBe('ci');

    const tokenFile = path.join(directory, 'ci.token');
    const made = await admin(
      `token create ci --cidr 127.0.0.0/8 --expires-at 2099-01-01T00:00:00Z --output ${tokenFile}`,
    );
    expect(made.stdout).not.toContain('cs_');
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    const credential = valueOf(made, 'credential') ?? '';
    const ci = cliFor(service.url, tokenFile);
    expect((await ci('sign message demo hello')).code).toBe(0);
    expect((await admin('token list ci')).stdout).toMatch(
      new RegExp(`^${credential}  valid  token .* 127\\.0\\.0\\.0/8$`, 'm'),
    );

    expect(valueOf(await admin('principal set-roles ci approver operator'), 'roles')).toBe(
      'approver, operator',
    );
    expect((await ci('sign message demo hello')).code).toBe(3);
    expect(valueOf(await admin('principal disable ci'), 'state')).toBe('disabled');
    expect((await ci('status')).code).toBe(1);
    expect(valueOf(await admin('principal enable ci'), 'state')).toBe('enabled');
    expect((await ci('status')).code).toBe(0);
    expect((await admin(`token revoke ci ${credential}`)).code).toBe(0);
    const revoked = await ci('status');
    expect(revoked.code).toBe(1);
    expect(revoked.stderr).toContain(
      `countersign: the service does not accept the credential in ${tokenFile}\n  request `,
    );
  });

  it('prints a token alone on standard output, and never over a file that is there', async () => {
    const printed = await admin('token create demo');
    expect(printed.stdout).toMatch(/^cs_[0-9a-f]{16}_[A-Za-z0-9_-]{43}\n$/);
    expect(printed.stderr).toContain('shown this once');
    const there = file('there.token', 'keep me');
    const before = (jsonOf(await admin('token list demo --json')) as { items: object[] }).items.length;
    const refused = await admin(`token create demo --output ${there}`);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it is there already') as string,
    });
    expect(readFileSync(there, 'utf8')).toBe('keep me');
    expect((jsonOf(await admin('token list demo --json')) as { items: object[] }).items).toHaveLength(before);
  });

  it('says which of the wrong things a principal is', async () => {
    expect((await admin('principal show nobody')).stderr).toBe(
      'countersign: there is no principal named nobody\n',
    );
    const pair = await admin('principal set-roles demo signer admin');
    expect(pair).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('\n  roles: signer and admin exclude') as string,
    });
  });
});

describe('audit show', () => {
  it('shows the newest entries, filters, and goes on where it ended', async () => {
    const items = ['a', 'b', 'c'].map((message) => ({ key: 'demo', operation: 'message', message }));
    expectStatus(200, await service.demo.post('/v1/sign/batch', { items }));
    const newest = await admin('audit show --limit 3 --json');
    const { size } = (jsonOf(await admin('status --json')) as { audit: { size: number } }).audit;
    const indexes = (jsonOf(newest) as { items: { index: number }[] }).items.map(({ index }) => index);
    expect(indexes).toEqual([size - 3, size - 2, size - 1]);

    const filtered = await admin('audit show --kind sign --effect allow --from 0 --limit 2');
    expect(filtered.stdout.split('\n')[0]).toMatch(
      /^INDEX +TIME +KIND +OUTCOME +PRINCIPAL +KEY +OPERATION +RULE$/,
    );
    expect(filtered.stdout.trimEnd().split('\n')).toHaveLength(3);
    const next = /^more: --from (\d+)$/m.exec(filtered.stderr)?.[1] ?? '';
    expect(
      (await admin(`audit show --kind sign --effect allow --limit 1 --from ${next} --json`)).stdout,
    ).toContain(`"index": ${next}`);
    const none = await admin('audit show --principal nobody');
    expect(none).toEqual({ code: 0, stdout: '', stderr: 'no entries\n' });
    const typo = await admin('audit show --kind no.such');
    expect(typo).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('\n  kind: ') as string,
    });
  });

  it('shows the newest of those that match, the newest last', async () => {
    const all = (jsonOf(await admin('audit show --kind sign --limit 1000 --json')) as Shown).items;
    expect(all.length).toBeGreaterThan(3);
    const shown = await admin('audit show --kind sign --limit 2');
    const rows = shown.stdout.trimEnd().split('\n').slice(1);
    expect(rows.map((row) => Number(row.split(' ')[0]))).toEqual(all.slice(-2).map(({ index }) => index));
    expect(shown.stderr).toBe(
      'there are older ones: give a --limit over 2, or --from 0 to begin with the oldest\n',
    );
    const oldest = jsonOf(await admin('audit show --kind sign --from 0 --limit 2 --json')) as Shown;
    expect(oldest.items).toEqual(all.slice(0, 2));
    expect((await admin(`audit show --kind sign --limit ${all.length}`)).stderr).toBe('');
  });

  it('finds what a guard refused', async () => {
    const disable = { reason: 'a drill' };
    expectStatus(200, await service.admin.post('/v1/keys/demo/versions/1/disable', disable));
    expect((await demo('sign message demo hello')).code).toBe(1);
    expectStatus(200, await service.admin.post('/v1/keys/demo/versions/1/enable', disable));
    const { items } = jsonOf(await admin('audit show --kind sign --outcome refused --json')) as Shown;
    expect(items.length).toBeGreaterThan(0);
    expect(new Set(items.map(({ entry }) => entry.outcome))).toEqual(new Set(['refused']));
    expect((await admin('audit show --outcome refuse')).code).toBe(1);
  });

  it('shows one entry whole', async () => {
    const entry = await admin('audit show 0');
    expect(valueOf(entry, 'kind')).toBe('service.started');
    expect(entry.stdout).toContain('detail {\n');
    expect(jsonOf(await admin('audit show 0 --json'))).toMatchObject({
      index: 0,
      entry: { kind: 'service.started' },
    });
    expect(await admin('audit show 999999')).toMatchObject({ code: 1, stdout: '' });
  });

  it('does not let what was logged steer the terminal', async () => {
    const reason = 'a\u001B[2Jb\u202Ec';
    await runCli(['key', 'disable', 'payroll', '--reason', reason], adminEnv());
    const { items } = jsonOf(await admin('audit show --kind key.state_changed --limit 100 --json')) as {
      items: { index: number; entry: { detail: { reason: string } } }[];
    };
    expect(items.at(-1)?.entry.detail.reason).toBe(reason);
    const shown = await admin(`audit show ${items.at(-1)?.index}`);
    expect(shown.stdout).toContain('a\\u001b[2Jb\\u202ec');
  });
});

describe('what can be wrong before the service is asked', () => {
  it('says that nothing listens, where, and how to start it', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await admin('status', { env: { COUNTERSIGN_URL: url } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `countersign: nothing listens at ${url}: start the service with \`countersign start\`, or name its address with --url or COUNTERSIGN_URL\n`,
    );
  });

  it('sends no token over plain HTTP to another machine', async () => {
    const { code, stderr } = await admin('status --url http://192.0.2.1:8700');
    expect(code).toBe(1);
    expect(stderr).toContain('plain HTTP to 192.0.2.1 would show the token to the network');
  });

  it('says what is wrong with the token file', async () => {
    const bare = await runCli(['status', '--url', service.url]);
    expect(bare).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no credential: give --token-file') as string,
    });
    const missing = await admin('status --token-file /nonexistent/token');
    expect(missing.stderr).toBe(
      'countersign: the token cannot be read from /nonexistent/token: there is no such file\n',
    );
    const other = await admin(`status --token-file ${file('other', 'a private diary\n')}`);
    expect(other.stderr).toMatch(/^countersign: the token file .*other does not hold a token/);
    expect(other.stderr).not.toContain('diary');
  });

  it('warns of a token file that others can read, and goes on', async () => {
    const open = file('open.token', `${service.adminToken}\n`, 0o644);
    const { code, stderr } = await admin(`status --token-file ${open}`);
    expect(code).toBe(0);
    expect(stderr).toBe(
      `warning: other users of this machine can open ${open}, which holds the token: chmod 600 ${open}\n`,
    );
  });

  it('is told the same of every token that is wrong', async () => {
    const wrong = file('wrong.token', `cs_${'0'.repeat(16)}_${'A'.repeat(43)}`);
    const { code, stdout, stderr } = await admin(`status --token-file ${wrong}`);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const [head, request, ...rest] = stderr.split('\n');
    expect(head).toBe(`countersign: the service does not accept the credential in ${wrong}`);
    expect(request).toMatch(/^ {2}request \S+$/);
    expect(rest).toEqual(['']);
  });

  it('helps with commands that there are not', async () => {
    expect((await admin('key lits')).stderr).toMatch(/^countersign: .*\n\(Did you mean list\?\)/);
    expect(await admin('--version')).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
    const help = await admin('help sign');
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('typed-data [options] <key>');
  });
});

describe('start', () => {
  it('refuses a data directory that another process has, with the reason', async () => {
    const { code, stderr } = await refusedStart(['--data', service.data]);
    expect(code).toBe(1);
    expect(stderr).toContain(
      `countersign: another countersign process is running on the data directory ${service.data}: stop it first`,
    );
  });
});

function adminEnv(): { env: Record<string, string> } {
  return {
    env: { COUNTERSIGN_URL: service.url, COUNTERSIGN_TOKEN_FILE: path.join(service.data, 'admin.token') },
  };
}
