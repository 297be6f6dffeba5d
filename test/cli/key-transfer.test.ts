import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encryptKeystoreJson, HDNodeWallet, Mnemonic, Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addPrincipal,
  makeDirectory,
  startService,
  type KeyAnswer,
  type RunningService,
} from '../service.ts';
import { cliFor, jsonOf, valueOf, type Cli } from './run.ts';

const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals: { two: { all: [{ role: approver, m: 2 }] } }
rules:
  - { id: out, effect: allow, principals: { roles: [admin] }, keys: { names: ["*"] }, operations: [key.export] }
  - { id: ask, effect: require, keys: { names: ["*"] }, operations: [key.export], approval: two }
`;
const WEAK = { scrypt: { N: 1 << 12, r: 8, p: 1 } };

let service: RunningService;
let admin: Cli;
let approvers: Cli[];
let directory: string;
/** What must be nowhere but in the files that it was read from. */
const secrets: string[] = [];

beforeAll(async () => {
  service = await startService({ policy: POLICY, logLevel: 'info' });
  directory = makeDirectory();
  admin = cliFor(service.url, path.join(service.data, 'admin.token'));
  approvers = await Promise.all(
    ['ann', 'bob'].map(async (name) => {
      const { token } = await addPrincipal(service, name, ['approver']);
      return cliFor(service.url, file(`${name}.token`, token));
    }),
  );
});
afterAll(async () => await service.stop());

function file(name: string, content: string): string {
  const where = path.join(directory, name);
  writeFileSync(where, content, { mode: 0o600 });
  return where;
}

function folder(name: string): string {
  const where = path.join(directory, name);
  mkdirSync(where);
  return where;
}

async function keystoreOf(
  wallet: { address: string; privateKey: string },
  password: string,
): Promise<string> {
  secrets.push(wallet.privateKey.slice(2), password);
  return await encryptKeystoreJson(wallet, password, WEAK);
}

const newPassword = (): string => `pw-${randomBytes(9).toString('hex')}`;

async function addressOf(name: string): Promise<string> {
  return (jsonOf(await admin(`key show ${name} --json`)) as KeyAnswer).versions[0]!.address;
}

describe('a mnemonic', () => {
  const mnemonic = Mnemonic.fromEntropy(randomBytes(16));
  const words = mnemonic.phrase;
  const at = (at: string, password = ''): string =>
    HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(words, password), at).address.toLowerCase();

  it('gives the key that wallets have at the path', async () => {
    const phrase = file('words', `${words.replaceAll(' ', '\n')}\n`);
    secrets.push(words);
    const first = await admin(`key import first --mnemonic-file ${phrase} --tag cold`);
    expect(valueOf(first, 'tags')).toBe('cold');
    expect(await addressOf('first')).toBe(at("m/44'/60'/0'/0/0"));
    await admin(`key import second --mnemonic-file - --path m/44'/60'/0'/0/1`, { stdin: words });
    expect(await addressOf('second')).toBe(at("m/44'/60'/0'/0/1"));
    const passphrase = file('passphrase', 'café\n');
    await admin(`key import third --mnemonic-file ${phrase} --mnemonic-passphrase-file ${passphrase}`);
    expect(await addressOf('third')).toBe(at("m/44'/60'/0'/0/0", 'café'));
  });

  it.each([
    ['a word that is none', words.replace(/^\S+/, 'ethereum'), '', /word 1 is not in the English list/],
    ['one word', 'abandon', '', /has 1 words/],
    ['a path that is none', words, ' --path 44/60', /path: "44\/60" is not a path/],
    [
      'one that all know',
      'test test test test test test test test test test test junk',
      " --path m/44'/60'/7'/0/99",
      /public knowledge \(of anvil/,
    ],
  ])('says what is wrong with %s', async (_, text, more, message) => {
    const refused = await admin(`key import wrong --mnemonic-file -${more}`, { stdin: text });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
    expect((await admin('key show wrong')).code).toBe(1);
  });
});

describe('a keystore file', () => {
  it('is opened by the signer process, and people are told how weak it was', async () => {
    const wallet = Wallet.createRandom();
    const password = newPassword();
    const keystore = file('one.json', await keystoreOf(wallet, password));
    const imported = await admin(`key import one --exportable --keystore ${keystore} --password-file -`, {
      stdin: password,
    });
    expect(valueOf(imported, 'exportable')).toMatch(/^yes/);
    expect(imported.stdout).toMatch(
      /file +scrypt, n=4096 r=8 p=1 dklen=32\nweaker +n 4096, at least 131072\nadvice .*destroy the old file/,
    );
    expect(await addressOf('one')).toBe(wallet.address.toLowerCase());
  });

  it.each([
    ['key import', /give a name/],
    ['key import x --keystore a --mnemonic-file b', /--keystore or --mnemonic-file, not both/],
    ['key import x --path m/0', /--path needs --mnemonic-file/],
    ['key import x --keystore-dir .', /give no name/],
    ['key import x --report r', /--report needs --keystore-dir/],
    ['key import x --keystore - --password-file -', /standard input cannot be both/],
  ])('%s is told what does not go together', async (command, message) => {
    expect(await admin(command)).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  });
});

it('a private key that is none is not sent, and not shown', async () => {
  for (const stdin of ['0x12', `${'a'.repeat(63)}g`, `0x${'a'.repeat(66)}`]) {
    const refused = await admin('key import x --private-key-file -', { stdin });
    expect(refused).toMatchObject({
      code: 1,
      stderr: 'countersign: the private key is not 32 bytes in hex\n',
    });
  }
});

describe('a folder of keystores', () => {
  interface Line {
    readonly file: string;
    readonly result: string;
    readonly reason?: string;
    readonly key?: string;
  }
  const wallets = Array.from({ length: 4 }, () => Wallet.createRandom());
  const nameOf = (index: number): string => `UTC--2026-01-0${index}--x`;

  it('is imported file by file, goes on after what fails, and is taken up where it was', async () => {
    const keys = folder('keystore');
    const [right, other] = [newPassword(), newPassword()];
    const lost = newPassword();
    for (const [index, wallet] of wallets.entries()) {
      const password = [right, other, right, lost][index]!;
      writeFileSync(path.join(keys, nameOf(index)), await keystoreOf(wallet, password));
    }
    writeFileSync(path.join(keys, 'README'), 'not a keystore');
    writeFileSync(path.join(keys, 'settings.json'), '{"a":1}');
    const { address: _, ...nameless } = JSON.parse(readFileSync(path.join(keys, nameOf(0)), 'utf8')) as {
      address: string;
    };
    writeFileSync(path.join(keys, 'nameless.json'), JSON.stringify(nameless));
    const passwords = file('passwords', `${newPassword()}\n\n${right}\r\n${other}\n`);
    const report = path.join(directory, 'report.jsonl');
    const run = `key import --keystore-dir ${keys} --password-file ${passwords} --report ${report} --tag old`;

    const first = await admin(run);
    expect(first.code).toBe(1);
    expect(first.stdout).toMatch(
      /3 imported, 0 present already, 2 no keystores, 2 failed\nDestroy the files/,
    );
    const lines = (): Line[] =>
      readFileSync(report, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
    const results = Object.fromEntries(lines().map(({ file, result, reason }) => [file, [result, reason]]));
    const none = 'no-keystore';
    expect(results).toEqual({
      README: [none, expect.stringContaining('cannot be used')],
      'settings.json': [none, 'it has no member crypto'],
      'nameless.json': ['failed', expect.stringContaining('does not say its address')],
      [nameOf(0)]: ['imported', undefined],
      [nameOf(1)]: ['imported', undefined],
      [nameOf(2)]: ['imported', undefined],
      [nameOf(3)]: ['failed', 'none of 3 passwords opens it'],
    });
    for (const wallet of wallets.slice(0, 3)) {
      expect(await addressOf(`geth-${wallet.address.toLowerCase()}`)).toBe(wallet.address.toLowerCase());
    }

    const again = jsonOf({ ...(await admin(`${run} --json`)), code: 0 }) as { items: Line[] };
    const count = (wanted: string): number => again.items.filter(({ result }) => result === wanted).length;
    expect([count('imported'), count('present'), count('failed')]).toEqual([0, 3, 2]);
    expect(lines()).toHaveLength(14);
  });

  it('takes a folder of passwords, and names of one’s own', async () => {
    const keys = folder('more');
    const passwords = folder('passwords-of-more');
    const [named, bare] = [Wallet.createRandom(), Wallet.createRandom()];
    const password = newPassword();
    writeFileSync(path.join(keys, 'named.json'), await keystoreOf(named, password));
    writeFileSync(path.join(passwords, 'named'), `${password}\n`, { mode: 0o600 });
    writeFileSync(path.join(keys, 'bare'), await keystoreOf(bare, password));
    const run = `key import --keystore-dir ${keys} --password-file ${passwords} --name-pattern old.{address}`;
    expect(await admin(run)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/no password for it in/),
    });
    expect(await addressOf(`old.${named.address.toLowerCase()}`)).toBe(named.address.toLowerCase());
    writeFileSync(path.join(passwords, 'bare.txt'), password, { mode: 0o600 });
    expect(await admin(run)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/1 imported, 1 present/),
    });
  });

  it.each(['all-the-same', 'Big-{address}', `${'x'.repeat(30)}-{address}`])(
    'refuses the pattern %s',
    async (pattern) => {
      const refused = await admin(
        `key import --keystore-dir ${directory} --name-pattern ${pattern} --password-file -`,
        { stdin: 'x' },
      );
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--name-pattern') });
    },
  );

  it('stops when the service is sealed', async () => {
    await admin('seal');
    const refused = await admin(
      `key import --keystore-dir ${path.join(directory, 'keystore')} --password-file -`,
      { stdin: 'x' },
    );
    await admin('unseal');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('sealed')]);
  });
});

describe('an export', () => {
  it('is asked for, consented to, and fetched into a new file', async () => {
    const wallet = Wallet.createRandom();
    secrets.push(wallet.privateKey.slice(2));
    const out = path.join(directory, 'out.json');
    await admin('key import leaving --exportable --private-key-file -', { stdin: wallet.privateKey });
    const asked = await admin(`key export leaving --out ${out}`);
    const id = valueOf(asked, 'request')!;
    expect(valueOf(asked, 'then')).toBe(`countersign key export leaving --request ${id} --out ${out}`);
    const password = newPassword();
    secrets.push(password);
    const fetch = `key export leaving --request ${id} --out ${out} --password-file -`;
    expect(await admin(fetch, { stdin: password })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is pending'),
    });
    expect(existsSync(out)).toBe(false);
    for (const approver of approvers) {
      const shown = await approver(`request approve ${id}`);
      expect(shown.stdout).toMatch(/leaves this service/);
    }
    expect(await admin(fetch, { stdin: 'short' })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/12 bytes/),
    });
    const fetched = await admin(fetch, { stdin: password });
    expect(fetched.code, fetched.stderr).toBe(0);
    expect(fetched.stdout).not.toContain('ciphertext');
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const opened = await Wallet.fromEncryptedJson(readFileSync(out, 'utf8'), password);
    expect(opened.privateKey).toBe(wallet.privateKey);
    // Nothing is written over, and nothing is given twice.
    expect(await admin(fetch, { stdin: password })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is a file'),
    });
    const twice = fetch.replace(out, `${out}2`);
    expect(await admin(twice, { stdin: password })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is exported'),
    });
    expect(existsSync(`${out}2`)).toBe(false);
  });

  it('of a key that was not made exportable is refused', async () => {
    await admin('key create staying');
    const refused = await admin(`key export staying --out ${path.join(directory, 'no.json')}`);
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringMatching(/not made exportable/) });
  });
});

it('what was secret is in no log, and in no file of the service', () => {
  const files = readdirSync(service.data).map((name) =>
    readFileSync(path.join(service.data, name), 'latin1'),
  );
  expect(secrets.length).toBeGreaterThan(12);
  expect(files.length).toBeGreaterThan(3);
  for (const secret of secrets) {
    for (const place of [service.stderr(), ...files]) expect(place.includes(secret)).toBe(false);
  }
});
