import path from 'node:path';
import type { Command } from 'commander';
import { openBackup } from '../backup/decode.ts';
import { SEAL_KEY_PART } from '../backup/header.ts';
import { leftovers, requireEmptyTarget, restore, type Restored } from '../backup/restore.ts';
import { CountersignError } from '../errors.ts';
import { snapshotFiles } from '../storage/sqlite/snapshot.ts';
import { readTrust, readUnlock, type TrustFlags, type UnlockFlags } from './backup-options.ts';
import { createProgress } from './progress.ts';
import { openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';

export interface RestoreFlags extends UnlockFlags, TrustFlags {
  readonly data: string;
  readonly acceptUnpinned?: boolean;
  readonly acceptLoss?: string;
}

export async function backupRestore(
  host: Host,
  file: string,
  flags: RestoreFlags,
  command: Command,
): Promise<void> {
  const session = openSession(host, command);
  const { terminal } = session;
  // What is restored is its owner's.
  process.umask(0o077);
  const target = path.resolve(flags.data);
  requireEmptyTarget(target);
  for (const left of leftovers(target))
    terminal.err(`${left} is left of a restore that was broken off, unless one is under way: remove it`);
  const trust = await readTrust(flags);
  if (trust.vkey === undefined && trust.held.length === 0 && flags.acceptUnpinned !== true) {
    throw new CountersignError(
      'invalid_request',
      'give what is known of the log: --vkey, --checkpoint or --anchor. Anybody can encrypt a backup to you: without one of them nothing shows ' +
        'that this is yours (--accept-unpinned restores it all the same)',
    );
  }
  const unlock = await readUnlock(flags, terminal);
  const progress = createProgress(terminal, 'restoring:');
  try {
    const backup = await openBackup(file, unlock);
    const restored = await restore({
      backup,
      target,
      files: snapshotFiles,
      trust,
      acceptLoss: flags.acceptLoss,
      acceptUnpinned: flags.acceptUnpinned,
      onProgress: (_, done, total) => progress.update(done, total),
    });
    progress.end();
    const { mark, log, vkey, pinned, continues, lost, sealKey } = restored;
    const { seal } = backup.header;
    const answer = {
      data: target,
      ...mark,
      seal,
      sealKey,
      vkey,
      pinned,
      continues,
      lost,
      signatures: log.signatures,
    };
    session.print(answer, () => restoredText(target, seal, restored));
  } finally {
    progress.end();
  }
}

function restoredText(
  target: string,
  seal: string | null,
  { mark, log, vkey, pinned, continues, lost, sealKey }: Restored,
): string {
  const lines = details([
    ['restored', target],
    ['log', `${log.size} entries, root ${log.root}, ${log.signatures} signatures checked`],
    ['verifier key', `${printable(vkey)}${pinned ? '' : ', taken from the backup itself'}`],
    ['continues', continues],
    ['lost entries', lost && `${lost.from} to ${lost.to}, as ${printable(lost.source)} shows`],
    ['fencing epoch', `${mark.epoch}, ${mark.epoch + 1} after the take-over`],
    ['seal', seal ?? 'none'],
  ]);
  const next = [
    ...(seal !== 'file'
      ? []
      : [
          sealKey
            ? `WARNING: ${SEAL_KEY_PART} came out of the backup and lies in ${target}: whoever opens that backup has every private key`
            : `${SEAL_KEY_PART} is NOT in the backup: put it into ${target}, with mode 600, from where you keep it; without it no key opens`,
        ]),
    'A service on this directory unseals and signs nothing yet. When the old one is stopped for good:',
    `  countersign backup take-over --data ${target} --reason '…'`,
  ];
  return [lines, ...next].join('\n');
}
