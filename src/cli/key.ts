import type { Command } from 'commander';
import { CountersignError } from '../errors.ts';
import type { Key } from './answers.ts';
import { listAll, PAGE_SIZE, pathStep, type Client } from './client.ts';
import { readJsonFile } from './json-file.ts';
import { collect, versionNumber } from './options.ts';
import { readSecret, secretToString, STDIN } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface CreateOptions {
  readonly tag?: readonly string[];
  readonly canary?: true;
}

interface ImportOptions extends CreateOptions {
  readonly keystore?: string;
  readonly passwordFile?: string;
  readonly privateKeyFile?: string;
  readonly allowWellKnown?: true;
}

const CANARY_HELP = 'one that never signs, and raises an alert when somebody asks it to';

export function addKeyCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'key', 'create, import, look at, disable and enable keys');

  addCommand(
    group,
    'create <name>',
    'create a key; its private half is made in the signer process and stays there',
  )
    .option('--tag <tag>', 'a tag for policies to match; may be repeated', collect)
    .option('--canary', CANARY_HELP)
    .action(async (name: string, { tag = [], canary }: CreateOptions, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().post<Key>('/v1/keys', { name, tags: tag, canary }), keyText);
    });

  addCommand(group, 'import <name>', 'import a key from a keystore file or a private key')
    .option('--keystore <file>', 'Web3 Secret Storage, version 3')
    .option('--password-file <file>', 'its password; - for standard input; asked for when absent')
    .option(
      '--private-key-file <file>',
      '32 bytes in hex; - for standard input; asked for when there is no keystore either',
    )
    .option('--tag <tag>', 'a tag for policies to match; may be repeated', collect)
    .option('--canary', CANARY_HELP)
    .option('--allow-well-known', 'also a key that the public knows; for test chains')
    .action(async (name: string, options: ImportOptions, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const source = await readSource(options, session.terminal);
      const { tag: tags = [], canary, allowWellKnown = false } = options;
      session.print(
        await client.post<Key>('/v1/keys/import', { name, tags, canary, source, allowWellKnown }),
        keyText,
      );
    });

  addCommand(group, 'list', 'list keys')
    .option('--tag <tag>', 'only those with this tag')
    .option('--state <state>', 'only those with a version in this state')
    .option('--address <address>', 'only the one with this address')
    .action(
      async (
        { tag, state, address }: { tag?: string; state?: string; address?: string },
        command: Command,
      ) => {
        const session = openSession(host, command);
        const items = await listAll<Key>(session.client(), '/v1/keys', {
          limit: PAGE_SIZE,
          tag,
          state,
          address,
        });
        if (items.length === 0 && !session.json) session.terminal.err('no keys');
        else session.print({ items, nextCursor: null }, () => keyTable(items, session.terminal.width));
      },
    );

  addCommand(group, 'show <name>', 'one key and its versions').action(
    async (name: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().get<Key>(keyPath(name)), keyText);
    },
  );

  const transition = (verb: 'disable' | 'enable', summary: string): void => {
    addCommand(group, `${verb} <name>`, summary)
      .requiredOption('--reason <text>', 'why; kept in the audit log')
      .option('--version <number>', 'the version; the primary when absent', versionNumber)
      .action(
        async (name: string, { reason, version }: { reason: string; version?: number }, command: Command) => {
          const session = openSession(host, command);
          const client = session.client();
          const number = version ?? (await primaryOf(client, name));
          session.print(
            await client.post<Key>(`${keyPath(name)}/versions/${number}/${verb}`, { reason }),
            keyText,
          );
        },
      );
  };
  transition('disable', 'disable a version: once this is answered, it signs nothing');
  transition('enable', 'enable a version again');
}

async function readSource(options: ImportOptions, terminal: Terminal): Promise<object> {
  const { keystore: keystoreFile, passwordFile, privateKeyFile } = options;
  if (keystoreFile !== undefined && privateKeyFile !== undefined)
    throw unclear('give --keystore or --private-key-file, not both');
  if (keystoreFile === undefined) {
    if (passwordFile !== undefined) throw unclear('--password-file needs --keystore');
    return { type: 'private-key', privateKey: await readPrivateKey(privateKeyFile, terminal) };
  }
  if (keystoreFile === STDIN && passwordFile === STDIN)
    throw unclear('standard input cannot be both keystore and password');
  const keystore = await readJsonFile(keystoreFile);
  const name = 'the password of the keystore';
  const secret = await readSecret({ name, option: '--password-file', file: passwordFile }, terminal);
  return { type: 'web3-v3', keystore, password: secretToString(secret, name) };
}

async function readPrivateKey(file: string | undefined, terminal: Terminal): Promise<string> {
  const name = 'the private key';
  const secret = await readSecret({ name, option: '--private-key-file', file }, terminal);
  const hex = secretToString(secret, name).trim();
  return hex.startsWith('0x') ? hex : `0x${hex}`;
}

async function primaryOf(client: Client, name: string): Promise<number> {
  return (await client.get<Key>(keyPath(name))).primary;
}

function keyPath(name: string): string {
  return `/v1/keys/${pathStep('name', name)}`;
}

function keyText({ name, state, tags, createdAt, primary, versions, canary }: Key): string {
  const head = details([
    ['key', name],
    ['state', state],
    ['tags', tags.join(', ')],
    ['created', createdAt],
    ['canary', canary === true ? 'yes: it never signs' : undefined],
  ]);
  const blocks = versions.map((version) =>
    details([
      ['version', `${version.version}${version.version === primary ? ' (primary)' : ''}`],
      ['  address', version.address],
      ['  public key', version.publicKey],
      ['  state', version.state],
      ['  origin', version.origin],
      ['  created', version.createdAt],
      ['  last used', version.lastUsedAt ?? 'never'],
    ]),
  );
  return [head, ...blocks].join('\n\n');
}

function keyTable(keys: readonly Key[], width: number | undefined): string {
  const rows = keys.map(({ name, state, primary, versions, tags }) => {
    const version = versions.find((candidate) => candidate.version === primary);
    return [
      name,
      state,
      String(primary),
      version?.address ?? '',
      tags.join(', '),
      version?.lastUsedAt ?? 'never',
    ];
  });
  return table(['NAME', 'STATE', 'VERSION', 'ADDRESS', 'TAGS', 'LAST USED'], rows, width);
}

function unclear(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
