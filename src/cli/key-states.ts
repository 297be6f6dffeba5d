import type { Command } from 'commander';
import type { Destruction, Key, KeyConsequences } from './answers.ts';
import { pathStep, type Client } from './client.ts';
import { confirmByName } from './confirm.ts';
import { keyText } from './key-text.ts';
import { count, versionNumber } from './options.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { printable } from './table.ts';

interface StateOptions {
  readonly reason: string;
  readonly version?: number;
}

interface CompromiseOptions extends StateOptions {
  readonly rotate?: true;
}

interface DestroyOptions extends StateOptions {
  readonly days?: number;
  readonly cancel?: true;
  readonly yes?: true;
}

/** What the states of a version are changed with. The table of what leads where is the service's. */
export function addKeyStateCommands(group: Command, host: Host): void {
  const transition = (verb: 'disable' | 'enable', summary: string): void => {
    addStateCommand(group, verb, summary).action(
      async (name: string, { reason, version }: StateOptions, command: Command) => {
        const session = openSession(host, command);
        const client = session.client();
        const path = await versionPath(client, name, version);
        session.print(await client.post<Key>(`${path}/${verb}`, { reason }), keyText);
      },
    );
  };
  transition('disable', 'disable a version: once this is answered, it signs nothing');
  transition('enable', 'enable a version again');

  addStateCommand(group, 'compromise', 'say that somebody else may have a version: it never signs again')
    .option('--rotate', 'put a new version in its place at once')
    .action(async (name: string, { reason, version, rotate }: CompromiseOptions, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const path = await versionPath(client, name, version);
      session.print(
        await client.post<Compromised>(`${path}/compromise`, { reason, rotate: rotate === true }),
        compromisedText,
      );
    });

  addStateCommand(
    group,
    'destroy',
    'have a version destroyed after a waiting time, until which it can be cancelled',
  )
    .option('--days <number>', 'how long it waits: 30 when absent, 7 at least', count)
    .option('--cancel', 'cancel the destruction that was scheduled')
    .option('--yes', 'do not ask for the name of the key')
    .action(async (name: string, options: DestroyOptions, command: Command) => {
      const session = openSession(host, command);
      const { reason, version, days, cancel = false, yes = false } = options;
      const client = session.client();
      const path = await versionPath(client, name, version);
      if (cancel) {
        session.print(await client.post<Key>(`${path}/cancel-destruction`, { reason }), keyText);
        return;
      }
      if (!yes && !session.json) {
        const { warnings } = await client.get<KeyConsequences>(`${path}/consequences`);
        for (const warning of warnings) session.terminal.err(`- ${printable(warning)}`);
      }
      await confirmByName(name, yes, session.terminal);
      session.print(
        await client.post<Destruction>(`${path}/schedule-destruction`, { reason, days }),
        destructionText,
      );
    });
}

type Compromised = Key & { readonly emergency?: { readonly rotation?: string; readonly problem?: string } };

function addStateCommand(group: Command, verb: string, summary: string): Command {
  return addCommand(group, `${verb} <name>`, summary)
    .requiredOption('--reason <text>', 'why; kept in the audit log')
    .option('--version <number>', 'the version; the primary when absent', versionNumber);
}

async function versionPath(client: Client, name: string, version: number | undefined): Promise<string> {
  const key = `/v1/keys/${pathStep('name', name)}`;
  return `${key}/versions/${version ?? (await client.get<Key>(key)).primary}`;
}

function compromisedText({ emergency, ...key }: Compromised): string {
  if (emergency === undefined) return keyText(key);
  const { rotation, problem } = emergency;
  const what =
    rotation === undefined
      ? `no rotation was started: ${printable(problem ?? 'unknown')}`
      : `rotation ${rotation} puts a new version in its place: countersign rotation show ${rotation}`;
  return `${keyText(key)}\n\n${what}`;
}

function destructionText({ consequences, ...key }: Destruction): string {
  const { warnings } = consequences;
  return [
    keyText(key),
    ...(warnings.length > 0 ? ['', ...warnings.map((each) => `- ${printable(each)}`)] : []),
  ].join('\n');
}
