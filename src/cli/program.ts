import { Command } from 'commander';
import type { Flags } from '../config.ts';
import { packageVersion } from './package-version.ts';
import { addConnectionOptions, type Host } from './session.ts';

const FOOTER = `
Results go to standard output, everything else to standard error.
Exit codes: 0 done, 1 error, 2 the service is sealed, 3 denied.
Secrets are read from files, standard input (-) or the keyboard, never from arguments or the environment.`;

/** The program with `start` alone. */
export function createProgram(host: Host): Command {
  const program = new Command('countersign')
    .description('Self-hosted key management and signing for Ethereum backends.')
    .version(packageVersion())
    .exitOverride()
    // As every other failure begins (failure.ts).
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'countersign: ')) })
    .enablePositionalOptions()
    .addHelpText('after', FOOTER);
  addConnectionOptions(program).option('--json', 'print JSON, for programs');

  program
    .command('start')
    .description('run the service until SIGTERM or SIGINT')
    .option('--config <file>', 'settings in YAML; docs/operations.md has all of them')
    .option('--data <directory>', 'the data directory (COUNTERSIGN_DATA; ./data)')
    .option(
      '--listen <host:port>',
      'other than a loopback address only with tls (COUNTERSIGN_LISTEN; 127.0.0.1:8700)',
    )
    .option(
      '--seal <type>',
      'how a new keyring is protected: file, passphrase or shamir (COUNTERSIGN_SEAL; file)',
    )
    .option(
      '--passphrase-file <file>',
      'opens a passphrase seal at the start; read anew after a lost signer process',
    )
    .option('--passphrase-fd <number>', 'the same from an open file descriptor, which is read once')
    .option('--no-demo', 'make no demo key at the first start')
    .option(
      '--take-over <reason>',
      'go on after a restore: the old service is stopped for good; kept in the audit log',
    )
    .option('--log-level <level>', 'info, warn, error or silent (COUNTERSIGN_LOG_LEVEL; info)')
    .action(async ({ takeOver, ...flags }: Flags & { readonly takeOver?: string }) => {
      const { start } = await import('./start.ts');
      await start(flags, takeOver, host.environment, host.terminal);
    });
  return program;
}
