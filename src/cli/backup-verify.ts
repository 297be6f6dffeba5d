import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import { openBackup, type OpenBackup } from '../backup/decode.ts';
import { examine, type Examined, type Trust } from '../backup/examine.ts';
import { DATABASE_PART, partOf, SEAL_KEY_PART, type BackupHeader } from '../backup/header.ts';
import type { Rehearsal } from '../backup/rehearsal.ts';
import { Workspace } from '../backup/workspace.ts';
import { wipe } from '../bytes.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { readTrust, readUnlock, type TrustFlags, type UnlockFlags } from './backup-options.ts';
import { restoreTest } from './backup-rehearse.ts';
import { EXIT } from './failure.ts';
import { createProgress, type Progress } from './progress.ts';
import { readSecret, whyNot } from './secrets.ts';
import { openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';
import type { Terminal } from './terminal.ts';

export interface BackupVerifyFlags extends UnlockFlags, TrustFlags {
  readonly restoreTest?: boolean;
  readonly sealKeyFile?: string;
  readonly sealPassphraseFile?: string;
  readonly tmp?: string;
}

export async function backupVerify(
  host: Host,
  file: string,
  flags: BackupVerifyFlags,
  command: Command,
): Promise<void> {
  const session = openSession(host, command);
  const { terminal } = session;
  requireTest(flags);
  const trust = await readTrust(flags);
  const unlock = await readUnlock(flags, terminal);
  let secret = await readSealSecret(flags, terminal);
  const workspace = new Workspace(flags.tmp ?? tmpdir());
  const progress = createProgress(terminal, 'checking the backup:');
  try {
    const backup = await openBackup(file, unlock);
    const { examined, sealKey, rehearsal } =
      flags.restoreTest === true
        ? await restoreTest(backup, path.join(workspace.directory, 'data'), trust, secret, progress)
        : await unpack(backup, workspace, trust, progress);
    secret = undefined;
    progress.end();
    const report = reportOf(file, backup.header, examined, sealKey, rehearsal);
    session.print(report, () => reportText(backup.header, examined, sealKey, rehearsal));
    if (examined.lost !== undefined) host.setExitCode(EXIT.error);
  } finally {
    wipe(secret);
    progress.end();
    workspace.remove();
  }
}

function requireTest({ restoreTest, sealKeyFile, sealPassphraseFile }: BackupVerifyFlags): void {
  if (sealKeyFile !== undefined && sealPassphraseFile !== undefined)
    throw new CountersignError(
      'invalid_request',
      'a seal opens with its key file or its passphrase, not with both',
    );
  const given = sealKeyFile !== undefined ? '--seal-key-file' : '--seal-passphrase-file';
  if (restoreTest !== true && (sealKeyFile ?? sealPassphraseFile) !== undefined)
    throw invalidField(given, 'is for --restore-test');
}

async function readSealSecret(
  { sealKeyFile, sealPassphraseFile }: BackupVerifyFlags,
  terminal: Terminal,
): Promise<Buffer | undefined> {
  if (sealPassphraseFile !== undefined) {
    const name = 'the passphrase of the seal';
    return await readSecret({ name, option: '--seal-passphrase-file', file: sealPassphraseFile }, terminal);
  }
  if (sealKeyFile === undefined) return undefined;
  try {
    return readFileSync(sealKeyFile);
  } catch (error) {
    throw invalidField('--seal-key-file', `${sealKeyFile} cannot be read: ${whyNot(error)}`);
  }
}

interface Outcome {
  readonly examined: Examined;
  readonly sealKey: boolean;
  readonly rehearsal?: Rehearsal;
}

async function unpack(
  backup: OpenBackup,
  workspace: Workspace,
  trust: Trust,
  progress: Progress,
): Promise<Outcome> {
  const { snapshotFiles } = await import('../storage/sqlite/snapshot.ts');
  const database = path.join(workspace.directory, DATABASE_PART);
  const onProgress = (done: number, total: number): void => progress.update(done, total);
  const sealKey = await backup.extract(database, onProgress);
  wipe(sealKey);
  const examined = await examine(database, backup.header, snapshotFiles, trust, onProgress);
  return { examined, sealKey: sealKey !== undefined };
}

function reportOf(
  file: string,
  header: BackupHeader,
  { log, vkey, pinned, continues, lost }: Examined,
  sealKey: boolean,
  rehearsal: Rehearsal | undefined,
): object {
  const { parts: _, checkpoint: __, ...about } = header;
  return {
    ok: lost === undefined,
    file,
    ...about,
    database: partOf(header, DATABASE_PART)?.sha256,
    sealKey,
    verified: {
      vkey,
      pinned,
      signatures: log.signatures,
      unsignedTail: log.unsignedTail,
      ...(continues !== undefined && { continues }),
      ...(lost !== undefined && { lost }),
    },
    ...(rehearsal !== undefined && { restoreTest: rehearsal }),
  };
}

function reportText(
  header: BackupHeader,
  { log, vkey, pinned, continues, lost }: Examined,
  sealKey: boolean,
  rehearsal: Rehearsal | undefined,
): string {
  const { createdAt, version, origin, epoch, counts, seal } = header;
  const lines = details([
    ['made', `${createdAt} by version ${version}`],
    ['service', `${origin}, fencing epoch ${epoch}`],
    ['log', `${log.size} entries, root ${log.root}, ${log.signatures} signatures checked`],
    ['after the last checkpoint', `${log.unsignedTail} entries`],
    ['continues', continues],
    ['keys', `${counts.keys} with ${counts.keyVersions} versions`],
    ['principals', `${counts.principals} with ${counts.credentials} credentials`],
    ['policies', String(counts.policies)],
    ['seal', `${seal ?? 'none'}${sealKey ? `, ${SEAL_KEY_PART} IS in the backup` : ', not in the backup'}`],
    ['database', `SHA-256 ${partOf(header, DATABASE_PART)?.sha256 ?? ''}`],
    ['restore test', rehearsal && rehearsalText(rehearsal)],
  ]);
  const notes = [
    ...(pinned
      ? []
      : [`whose log it is was taken from the backup itself: pin it with --vkey '${printable(vkey)}'`]),
    ...(continues === undefined && lost === undefined
      ? [
          'that it is not older than what is known of the log, a checkpoint kept elsewhere shows: --checkpoint, --anchor',
        ]
      : []),
    ...(rehearsal !== undefined && rehearsal.opened === undefined
      ? ['no private key was opened: give --seal-key-file or --seal-passphrase-file']
      : []),
  ];
  const head =
    lost === undefined
      ? 'OK'
      : `OLD: entries ${lost.from} to ${lost.to} are not in it, and ${printable(lost.source)} has seen them`;
  return [head, lines, ...notes].join('\n');
}

function rehearsalText({ keys, versions, policyRevision, opened }: Rehearsal): string {
  const policy = policyRevision === null ? 'no policy' : `policy revision ${policyRevision}`;
  const all = `${keys} keys, ${policy}`;
  return opened === undefined
    ? all
    : `${all}, ${opened} of ${versions} versions opened with the right address`;
}
