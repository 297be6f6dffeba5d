import type { Command } from 'commander';
import type { Key } from './answers.ts';
import { listAll, PAGE_SIZE, pathStep } from './client.ts';
import { addKeyExportCommand } from './key-export.ts';
import { addKeyImportCommand } from './key-import.ts';
import { newKeyFields, withNewKeyOptions, type NewKeyOptions } from './key-options.ts';
import { addKeyRotateCommand } from './key-rotate.ts';
import { addKeyScheduleCommand } from './key-schedule.ts';
import { addKeyStateCommands } from './key-states.ts';
import { keyText } from './key-text.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { table } from './table.ts';

export function addKeyCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'key',
    'create, import, export, look at, rotate, disable and destroy keys',
  );

  withNewKeyOptions(
    addCommand(
      group,
      'create <name>',
      'create a key; its private half is made in the signer process and stays there',
    ),
  ).action(async (name: string, options: NewKeyOptions, command: Command) => {
    const session = openSession(host, command);
    session.print(await session.client().post<Key>('/v1/keys', { name, ...newKeyFields(options) }), keyText);
  });

  addKeyImportCommand(group, host);
  addKeyExportCommand(group, host);

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

  addKeyStateCommands(group, host);
  addKeyRotateCommand(group, host);
  addKeyScheduleCommand(group, host);
}

function keyPath(name: string): string {
  return `/v1/keys/${pathStep('name', name)}`;
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
