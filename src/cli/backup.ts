import type { Command } from 'commander';
import type { CreateFlags } from './backup-create.ts';
import type { RestoreFlags } from './backup-restore.ts';
import type { TakeOverFlags } from './backup-take-over.ts';
import type { BackupVerifyFlags } from './backup-verify.ts';
import { collect } from './options.ts';
import { addCommand, type Host } from './session.ts';

export function addBackupCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'backup', 'make, check and restore encrypted backups of everything');

  addCommand(
    group,
    'create',
    'of a running service, or with --data of a directory; encrypted in the age format',
  )
    .requiredOption('--to <file>', 'where to; must not be there')
    .option('--recipient <age1…>', 'a public key of age; may be repeated', collect)
    .option('--recipients-file <file>', 'public keys of age, one a line')
    .option(
      '--passphrase-file <file>',
      'encrypt with a passphrase instead; only with --data; - for standard input',
    )
    .option(
      '--data <directory>',
      'read the directory itself, also while a service runs on it; no entry says so then',
    )
    .option(
      '--tmp <directory>',
      'where the copy of the database lies meanwhile; with --data (the data directory)',
    )
    .option('--with-seal-key', 'put the key of the file seal into it, too: whoever opens it has every key')
    .action(async (flags: CreateFlags, command: Command) => {
      const { backupCreate } = await import('./backup-create.ts');
      await backupCreate(host, flags, command);
    });

  const verify = addCommand(group, 'verify', 'open a backup and check all that is in it').argument('<file>');
  withTrust(withUnlock(verify))
    .option(
      '--restore-test',
      'restore it into a directory that is removed again, and open that as a service would',
    )
    .option('--seal-key-file <file>', 'with --restore-test: open every key with the key of the file seal')
    .option(
      '--seal-passphrase-file <file>',
      'with --restore-test: open every key with the passphrase of the seal',
    )
    .option('--tmp <directory>', 'where the database is unpacked meanwhile (that of the system)')
    .action(async (file: string, flags: BackupVerifyFlags, command: Command) => {
      const { backupVerify } = await import('./backup-verify.ts');
      await backupVerify(host, file, flags, command);
    });

  const restore = addCommand(
    group,
    'restore',
    'make a data directory of a backup; a service on it signs nothing until it takes over',
  )
    .argument('<file>')
    .requiredOption('--data <directory>', 'empty, or not there');
  withTrust(withUnlock(restore))
    .option('--accept-unpinned', 'take the backup’s own word for whose log it is')
    .option('--accept-loss <reason>', 'go on although a checkpoint given covers entries that it lacks')
    .action(async (file: string, flags: RestoreFlags, command: Command) => {
      const { backupRestore } = await import('./backup-restore.ts');
      await backupRestore(host, file, flags, command);
    });

  addCommand(group, 'take-over', 'go on as the live service after a restore: the old one is stopped for good')
    .requiredOption(
      '--reason <text>',
      'why, and how you know that the old one is stopped; kept in the audit log',
    )
    .option('--data <directory>', 'do it in the directory, while no service runs on it')
    .action(async (flags: TakeOverFlags, command: Command) => {
      const { backupTakeOver } = await import('./backup-take-over.ts');
      await backupTakeOver(host, flags, command);
    });
}

function withUnlock(command: Command): Command {
  return command
    .option('--identity <file>', 'an identity of age, as age-keygen writes it; - for standard input')
    .option('--passphrase-file <file>', 'the passphrase that it was encrypted with; - for standard input');
}

function withTrust(command: Command): Command {
  return command
    .option('--vkey <vkey>', 'the verifier key that you know is the log’s')
    .option(
      '--checkpoint <file>',
      'a checkpoint of the log that was kept elsewhere; may be repeated',
      collect,
    )
    .option('--anchor <path>', 'file or directory of an anchor; may be repeated', collect);
}
