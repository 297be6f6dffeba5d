import type { Command } from 'commander';
import { CountersignError } from '../errors.ts';
import { createClient, type Client } from './client.ts';
import { readTokenFile } from './secrets.ts';
import { printableJson } from './table.ts';
import type { Terminal } from './terminal.ts';
import type { TlsFiles } from './transport.ts';

export const DEFAULT_URL = 'http://127.0.0.1:8700';

/** What a command gets from the process it runs in. */
export interface Host {
  readonly terminal: Terminal;
  readonly environment: NodeJS.ProcessEnv;
  setExitCode(code: number): void;
}

/** One run of a command: its options, and the ways to the service and to the person. */
export interface Session {
  readonly host: Host;
  readonly terminal: Terminal;
  /** Asks for a program's output. */
  readonly json: boolean;
  /** Throws `invalid_request` without a usable token file or client certificate. */
  client(): Client;
  /** For routes that need no credential. */
  publicClient(): Client;
  /** Prints the answer as it is with --json, else `text` of it. */
  print<T>(answer: T, text: (answer: T) => string): void;
}

export function openSession(host: Host, command: Command): Session {
  const { terminal, environment } = host;
  const url = (): string => globalOption(command, 'url') ?? (environment['COUNTERSIGN_URL'] || DEFAULT_URL);
  const option = (name: ConnectionOption, variable: string): string | undefined =>
    globalOption(command, name) ?? (environment[variable] || undefined);
  const tls = (): TlsFiles => ({
    ca: option('ca', 'COUNTERSIGN_CA'),
    cert: option('clientCert', 'COUNTERSIGN_CLIENT_CERT'),
    key: option('clientKey', 'COUNTERSIGN_CLIENT_KEY'),
  });
  const json = wantsJson(command);
  return {
    host,
    terminal,
    json,
    client: () => {
      const file = globalOption(command, 'tokenFile') ?? environment['COUNTERSIGN_TOKEN_FILE'];
      const files = tls();
      if (file === undefined || file === '') {
        // Which is a credential, too.
        if (files.cert !== undefined || files.key !== undefined) return createClient(url(), undefined, files);
        const where = 'the service wrote admin.token into its data directory at its first start';
        const message = `no credential: give --token-file FILE or set COUNTERSIGN_TOKEN_FILE (${where})`;
        throw new CountersignError('invalid_request', message);
      }
      return createClient(url(), { token: readTokenFile(file, terminal), file }, files);
    },
    publicClient: () => createClient(url(), undefined, tls()),
    print: (answer, text) => terminal.out(json ? printableJson(answer) : text(answer)),
  };
}

/** Adds a command that a session can be opened for. Its common options may stand before and after its name. */
export function addCommand(parent: Command, usage: string, summary: string): Command {
  const command = addConnectionOptions(parent.command(usage).description(summary));
  return command.option('--json', 'print JSON, for programs');
}

export function addConnectionOptions(command: Command): Command {
  return command
    .option('--url <url>', `the service (COUNTERSIGN_URL; ${DEFAULT_URL})`)
    .option('--token-file <file>', 'the file with the credential (COUNTERSIGN_TOKEN_FILE)')
    .option('--ca <file>', 'CA certificates to check the service with, in PEM (COUNTERSIGN_CA)')
    .option('--client-cert <file>', 'a client certificate, in PEM (COUNTERSIGN_CLIENT_CERT)')
    .option('--client-key <file>', 'its key, in PEM (COUNTERSIGN_CLIENT_KEY)');
}

type ConnectionOption = 'url' | 'tokenFile' | 'ca' | 'clientCert' | 'clientKey';

/** The value given nearest to the command itself. */
export function globalOption(command: Command, name: ConnectionOption): string | undefined {
  const value: unknown = command.opts()[name];
  if (typeof value === 'string') return value;
  return command.parent === null ? undefined : globalOption(command.parent, name);
}

function wantsJson(command: Command): boolean {
  return command.opts()['json'] === true || (command.parent !== null && wantsJson(command.parent));
}
