import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirectory, startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, type Cli } from './run.ts';

const PASSPHRASE = 'correct horse battery staple, ümläut';

let service: RunningService;
let cli: Cli;
let passphraseFile: string;

beforeAll(async () => {
  service = await startService({ args: ['--seal', 'passphrase'] });
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
  passphraseFile = path.join(makeDirectory(), 'passphrase');
  writeFileSync(passphraseFile, `${PASSPHRASE}\n`, { mode: 0o600 });
});
afterAll(async () => await service.stop());

describe('a service that a passphrase seals', () => {
  it('is not initialized at first, which ends status with 2', async () => {
    const { code, stdout } = await cli('status');
    expect(code).toBe(2);
    expect(stdout).toMatch(/^state +not initialized$/m);
    const json = await cli('status --json');
    expect(json.code).toBe(2);
    expect(JSON.parse(json.stdout)).toMatchObject({ initialized: false, sealed: true });
  });

  it('has no log key yet', async () => {
    const offline = await cli(`audit verify --data ${service.data}`);
    expect(offline).toMatchObject({ code: 1, stdout: '' });
    expect(offline.stderr).toContain('the service is not initialized, and nothing in its log is signed');
    expect((await cli('audit verify')).stderr).toContain(
      'the service is not initialized: the log has no key',
    );
  });

  it('refuses a short passphrase, a wrong KDF and a passphrase that nobody can type', async () => {
    const short = await cli('init --passphrase-file -', { stdin: 'too short\n' });
    expect(short).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('\n  seal.passphrase: ') as string,
    });
    expect(short.stderr).not.toContain('too short');
    expect((await cli('init --passphrase-file - --kdf md5', { stdin: PASSPHRASE })).code).toBe(1);
    const { stderr } = await cli('init');
    expect(stderr).toContain(
      'there is no terminal to ask for the passphrase on: give --passphrase-file FILE',
    );
    expect((await cli('init --passphrase-file -')).stderr).toContain('the passphrase is empty');
  });

  it('is initialized once', async () => {
    const made = await cli(`init --passphrase-file ${passphraseFile} --kdf pbkdf2`);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toMatch(/^state +unsealed, ready to sign$/m);
    expect(made.stdout).toMatch(/^seal +passphrase$/m);
    expect(await cli(`init --passphrase-file ${passphraseFile}`)).toMatchObject({ code: 1, stdout: '' });
    expect((await cli('key create treasury')).code).toBe(0);
  });

  it('is sealed: then status and everything that needs keys end with 2', async () => {
    // The newest entries are vouched for before nobody can sign for them any more.
    expect((await cli('audit checkpoint')).code).toBe(0);
    expect((await cli('seal --json')).code).toBe(0);
    const status = await cli('status');
    expect(status.code).toBe(2);
    expect(status.stdout).toMatch(/^state +sealed$/m);
    const create = await cli('key create second');
    expect(create).toMatchObject({ code: 2, stdout: '' });
    expect(create.stderr).toMatch(/^countersign: .*sealed.*\n {2}request \S+\n$/);
    // Reading needs no keys, and the log can be verified all the same.
    expect((await cli('key list')).code).toBe(0);
    expect((await cli('audit verify')).stdout).toMatch(/^OK\n/);
  });

  it('is unsealed with the right passphrase only', async () => {
    const wrong = await cli('unseal --passphrase-file -', { stdin: 'not the passphrase\n' });
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).not.toContain('not the passphrase');
    expect((await cli('status')).code).toBe(2);
    const noTerminal = await cli('unseal');
    expect(noTerminal.stderr).toContain('there is no terminal to ask for the passphrase on');
    const right = await cli('unseal --passphrase-file - --json', { stdin: PASSPHRASE });
    expect(jsonOf(right)).toMatchObject({ sealed: false, ready: true });
    expect((await cli('status')).code).toBe(0);
    expect((await cli('key create second')).code).toBe(0);
    expect((await cli('unseal')).stderr).toContain('unsealed already');
  });
});
