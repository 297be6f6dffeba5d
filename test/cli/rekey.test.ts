import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDirectory, startService, type RunningService } from '../service.ts';
import { cliFor, jsonOf, valueOf, type Cli } from './run.ts';

const PASSPHRASE = 'correct horse battery staple';

let service: RunningService;
let cli: Cli;
let directory: string;

const first = (number: number): string => path.join(directory, 'first', `share-${number}`);
const second = (number: number): string => path.join(directory, 'second', `share-${number}`);

beforeAll(async () => {
  directory = makeDirectory();
  service = await startService({ args: ['--seal', 'shamir'] });
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
});
afterAll(async () => await service.stop());

describe('a seal in shares', () => {
  it('is made once, its shares in files of their own', async () => {
    expect((await cli('init --shares 3')).stderr).toContain('--shares: needs --threshold');
    expect((await cli('init --shares 3 --threshold 2 --kdf scrypt')).stderr).toContain(
      'without a passphrase',
    );
    const used = await cli(`init --shares 3 --threshold 2 --output ${directory}`);
    expect(used.stderr).toContain('it is there already');
    const ran = await cli(`init --shares 3 --threshold 2 --output ${path.join(directory, 'first')}`);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).not.toContain('css1-');
    expect(ran.stdout).toContain(first(3));
    expect(valueOf(ran, 'seal')).toMatch(/^2 of 3 shares, set [0-9a-f]{12}$/);
    expect(readFileSync(first(1), 'utf8')).toMatch(/^css1(?:-[a-z2-7]{6}){12}\n$/);
    expect(statSync(first(1)).mode & 0o777).toBe(0o600);
  });

  it('is opened share by share', async () => {
    expect((await cli('seal')).code).toBe(0);
    expect((await cli('unseal')).stderr).toContain('there is no terminal to ask for the share on');
    const one = await cli('unseal --share-file -', { stdin: readFileSync(first(2), 'utf8') });
    expect(valueOf(one, 'shares given')).toBe('1 of 2');
    const twice = await cli(`unseal --share-file ${first(2)}`);
    expect(twice).toMatchObject({ code: 1, stdout: '' });
    expect(twice.stderr).toContain('share 2 was given already');
    expect(valueOf(await cli('unseal --reset'), 'shares given')).toBe('0 of 2');
    const both = await cli(`unseal --share-file ${first(1)} --share-file ${first(3)}`);
    expect(valueOf(both, 'state')).toBe('unsealed, ready to sign');
  });
});

describe('changing the seal', () => {
  it('is one command a step, each of which says what comes next', async () => {
    expect((await cli('rekey show')).stdout).toBe('No change of the seal is on its way.\n');
    const started = await cli('rekey start --shares 2 --threshold 2');
    expect(started.stdout).toContain('Next: countersign rekey authorize');
    expect(valueOf(await cli('status'), 'rekey')).toMatch(/^authorize, to 2 of 2 shares/);
    const output = path.join(directory, 'second');
    const authorized = await cli(
      `rekey authorize --share-file ${first(1)} --share-file ${first(2)} --output ${output}`,
    );
    expect(authorized).toMatchObject({ code: 0, stderr: '' });
    expect(authorized.stdout).toContain('Next: countersign rekey verify, with the new shares');
    const half = await cli(`rekey verify --share-file ${second(1)}`);
    expect(valueOf(half, 'shares')).toBe('1 of 2');
    const done = await cli(`rekey verify --share-file ${second(2)}`);
    expect(done.stdout).toContain('The seal is changed');
    expect(valueOf(await cli('status'), 'seal')).toMatch(/^2 of 2 shares/);
  });

  it('goes to a passphrase, which a file opens at each start', async () => {
    const file = path.join(directory, 'passphrase');
    writeFileSync(file, `${PASSPHRASE}\n`, { mode: 0o600 });
    const started = await cli(`rekey start --kdf pbkdf2 --passphrase-file ${file}`);
    expect(started).toMatchObject({ code: 0, stderr: '' });
    await cli(`rekey authorize --share-file ${second(1)} --share-file ${second(2)}`);
    expect((await cli('rekey verify --passphrase-file -', { stdin: 'something else' })).code).toBe(1);
    expect((await cli(`rekey verify --passphrase-file ${file}`)).stdout).toContain('The seal is changed');
    const cancelled = await cli('rekey cancel');
    expect(cancelled.stderr).toContain('no change of the seal is on its way');

    const { data } = service;
    await service.stop();
    service = await startService({ data, args: ['--passphrase-file', file] });
    cli = cliFor(service.url, path.join(data, 'admin.token'));
    expect(valueOf(await cli('status'), 'state')).toBe('unsealed, ready to sign');
    await service.stop();
    writeFileSync(file, 'not the passphrase\n');
    service = await startService({ data, args: ['--passphrase-file', file] });
    cli = cliFor(service.url, path.join(data, 'admin.token'));
    expect(valueOf(await cli('status'), 'state')).toBe('sealed');
    writeFileSync(file, PASSPHRASE);
    expect((await cli(`unseal --passphrase-file ${file}`)).code).toBe(0);
  });
});

describe('the root key', () => {
  it('gets a term, and what is sealed is moved to it', async () => {
    expect((await cli('key create treasury')).code).toBe(0);
    expect(valueOf(await cli('rotate-root'), 'term')).toBe('2');
    expect(valueOf(await cli('status'), 'root key')).toContain('2 secrets under older terms');
    const ran = await cli('rewrap --wait');
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(valueOf(ran, 'state')).toBe('done');
    expect(valueOf(ran, 'done')).toBe('2 of 2');
    expect(valueOf(await cli('status'), 'root key')).not.toContain('older');
    expect(jsonOf(await cli('rewrap --json'))).toMatchObject({ total: 0 });
  });
});

describe('changing a seal with a key file', () => {
  it('takes the file: the credential alone is not enough', async () => {
    const other = await startService();
    try {
      const run = cliFor(other.url, path.join(other.data, 'admin.token'));
      const start = 'rekey start --shares 2 --threshold 2';
      const without = await run(start);
      expect(without).toMatchObject({ code: 1, stdout: '' });
      expect(without.stderr).toContain('give --current-seal-key-file');
      const wrong = path.join(directory, 'wrong.key');
      writeFileSync(wrong, Buffer.alloc(32, 7), { mode: 0o600 });
      expect((await run(`${start} --current-seal-key-file ${wrong}`)).code).toBe(1);
      expect((await run('rekey show')).stdout).toContain('No change');
      const output = path.join(directory, 'third');
      const key = path.join(other.data, 'seal.key');
      const started = await run(`${start} --output ${output} --current-seal-key-file ${key}`);
      expect(started).toMatchObject({ code: 0, stderr: '' });
      const shares = [1, 2].map((number) => `--share-file ${path.join(output, `share-${number}`)}`).join(' ');
      expect((await run(`rekey verify ${shares}`)).stdout).toContain('Delete seal.key');
    } finally {
      await other.stop();
    }
  });
});
