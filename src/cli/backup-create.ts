import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { fingerprintOf, requireRecipients, type Lock } from '../backup/age.ts';
import { DATABASE_PART, partOf, SEAL_KEY_PART } from '../backup/header.ts';
import { CountersignError, invalidField } from '../errors.ts';
import { linesOf, readPassphrase, readText } from './backup-options.ts';
import { createProgress, type Progress } from './progress.ts';
import { packageVersion } from './package-version.ts';
import { whyNot } from './secrets.ts';
import { globalOption, openSession, type Host, type Session } from './session.ts';
import { details } from './table.ts';

export interface CreateFlags {
  readonly to: string;
  readonly recipient?: readonly string[];
  readonly recipientsFile?: string;
  readonly passphraseFile?: string;
  readonly data?: string;
  readonly tmp?: string;
  readonly withSealKey?: boolean;
}

interface Created {
  readonly file: string;
  readonly bytes: number;
  /** Of the log in it. */
  readonly size: number;
  readonly root: string;
  readonly epoch: number;
  /** SHA-256 of the database in it. */
  readonly database: string;
  readonly recipients: readonly string[];
  /** Index of its entry; null for one that was made beside the service. */
  readonly entry: number | null;
  readonly sealKey: boolean;
}

export async function backupCreate(host: Host, flags: CreateFlags, command: Command): Promise<void> {
  const session = openSession(host, command);
  const { to, data, withSealKey = false } = flags;
  const recipients = readRecipients(flags);
  if (data === undefined) requireData(flags);
  else if (globalOption(command, 'url') !== undefined)
    throw new CountersignError(
      'invalid_request',
      'give --data for a directory or --url for a service, not both',
    );
  if (existsSync(to)) throw invalidField('--to', `${to} is there already: a backup is never overwritten`);
  const progress = createProgress(session.terminal, 'writing the backup, bytes:');
  try {
    const created =
      data === undefined
        ? await fromService(session, to, recipients, progress)
        : await fromDirectory(session, { ...flags, data, withSealKey }, recipients, progress);
    progress.end();
    session.print(created, createdText);
    for (const warning of warningsOf(created)) session.terminal.err(warning);
  } finally {
    progress.end();
  }
}

function readRecipients({ recipient = [], recipientsFile, passphraseFile }: CreateFlags): readonly string[] {
  const fromFile = recipientsFile === undefined ? [] : linesOf(readText('--recipients-file', recipientsFile));
  const recipients = [...recipient, ...fromFile];
  if ((recipients.length === 0) === (passphraseFile === undefined)) {
    throw new CountersignError(
      'invalid_request',
      'give recipients (--recipient, --recipients-file) or --passphrase-file: a backup is always encrypted, in one of the two ways',
    );
  }
  if (recipients.length > 0) requireRecipients(recipients);
  return recipients;
}

/** The passphrase would have to be told to the service, and the seal key must not leave through it. */
function requireData({ passphraseFile, tmp, withSealKey }: CreateFlags): void {
  const option =
    passphraseFile !== undefined
      ? '--passphrase-file'
      : withSealKey === true
        ? '--with-seal-key'
        : tmp !== undefined
          ? '--tmp'
          : undefined;
  if (option !== undefined)
    throw invalidField(option, 'needs --data: a service makes backups for recipients only');
}

async function fromService(
  session: Session,
  to: string,
  recipients: readonly string[],
  progress: Progress,
): Promise<Created> {
  const { headers, body } = await session.client().postStream('/v1/sys/backup', { recipients });
  const header = (name: string): string => String(headers[`countersign-backup-${name}`]);
  const bytes = Number(headers['content-length']);
  await writeWhole(to, bytes, body, progress);
  return {
    file: to,
    bytes,
    size: Number(header('size')),
    root: header('root'),
    epoch: Number(header('epoch')),
    database: header('sha256'),
    recipients: recipients.map(fingerprintOf),
    entry: Number(header('entry')),
    sealKey: false,
  };
}

async function fromDirectory(
  session: Session,
  flags: CreateFlags & { readonly data: string; readonly withSealKey: boolean },
  recipients: readonly string[],
  progress: Progress,
): Promise<Created> {
  const { to, data, tmp, passphraseFile, withSealKey } = flags;
  const { Backups } = await import('../backup/backups.ts');
  const { snapshotSource } = await import('../storage/sqlite/snapshot.ts');
  const lock: Lock =
    recipients.length > 0
      ? { recipients }
      : { passphrase: await readPassphrase(passphraseFile, session.terminal) };
  const sealKey = withSealKey ? readSealKey(data) : undefined;
  const backups = new Backups(snapshotSource(data), tmp ?? data, packageVersion());
  const { header, size, pieces, discard } = await backups.prepare({ lock, sealKey });
  try {
    await writeWhole(to, size, pieces, progress);
  } finally {
    discard();
  }
  const { log, epoch } = header;
  return {
    file: to,
    bytes: size,
    size: log.size,
    root: log.root,
    epoch,
    database: partOf(header, DATABASE_PART)?.sha256 ?? '',
    recipients: recipients.map(fingerprintOf),
    entry: null,
    sealKey: sealKey !== undefined,
  };
}

function readSealKey(data: string): Buffer {
  const file = path.join(data, SEAL_KEY_PART);
  try {
    return readFileSync(file);
  } catch (error) {
    throw invalidField('--with-seal-key', `${file} cannot be read: ${whyNot(error)}`);
  }
}

/** Into a file beside it, which takes its name when all of it is on disk. */
async function writeWhole(
  to: string,
  bytes: number,
  pieces: AsyncIterable<Uint8Array>,
  progress: Progress,
): Promise<void> {
  const partial = `${to}.partial`;
  const file = openPartial(partial);
  try {
    let done = 0;
    for await (const piece of pieces) {
      for (let written = 0; written < piece.length;) written += writeSync(file, piece, written);
      done += piece.length;
      progress.update(done, bytes);
    }
    if (done !== bytes)
      throw new CountersignError('unavailable', `the backup broke off after ${done} of ${bytes} bytes`);
    fsyncSync(file);
    closeSync(file);
  } catch (error) {
    closeSync(file);
    rmSync(partial, { force: true });
    if (error instanceof CountersignError) throw error;
    throw new CountersignError('unavailable', `${partial} cannot be written: ${whyNot(error)}`, [], error);
  }
  renameSync(partial, to);
  syncDirectory(path.dirname(to));
}

function openPartial(partial: string): number {
  try {
    return openSync(partial, 'wx', 0o600);
  } catch (error) {
    const why =
      (error as NodeJS.ErrnoException).code === 'EEXIST'
        ? 'is left of a backup that was broken off, or is being written: remove it when it is not'
        : `cannot be written: ${whyNot(error)}`;
    throw invalidField('--to', `${partial} ${why}`);
  }
}

function syncDirectory(directory: string): void {
  const folder = openSync(directory, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function createdText({ file, bytes, size, root, epoch, database, recipients, entry }: Created): string {
  return details([
    ['backup', `${file}, ${bytes} bytes`],
    ['log', `${size} entries, root ${root}`],
    ['fencing epoch', String(epoch)],
    ['database', `SHA-256 ${database}`],
    ['encrypted to', recipients.length === 0 ? 'a passphrase' : recipients.join(', ')],
    ['entry', entry === null ? undefined : String(entry)],
  ]);
}

function warningsOf({ entry, sealKey }: Created): string[] {
  return [
    sealKey
      ? 'WARNING: the key of the file seal IS in this backup: whoever opens it has every private key'
      : 'the seal is NOT in this backup: to use its keys you also need the passphrase, the shares, or the file seal.key, kept apart from it',
    ...(entry === null
      ? ['made beside the service: no entry of the audit log says that this backup was made']
      : []),
  ];
}
