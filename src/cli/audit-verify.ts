import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CountersignError } from '../errors.ts';
import { writePrivateFile } from '../files.ts';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import { parseNote } from '../audit/tree/note.ts';
import { verifyLog, type LogSource, type VerifyReport } from '../audit/verify/log.ts';
import { EXIT } from './failure.ts';
import { openLog, type LogPlace } from './log-place.ts';
import { createProgress } from './progress.ts';
import { whyNot } from './secrets.ts';
import { globalOption, openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';
import { witnessPolicy, type WitnessFlags } from './witness-policy.ts';

export interface VerifyFlags extends LogPlace, WitnessFlags {
  readonly vkey?: string;
  readonly trusted?: string;
  readonly save?: string;
  /** False with --no-signatures. */
  readonly signatures: boolean;
}

export async function auditVerify(host: Host, flags: VerifyFlags, command: Command): Promise<void> {
  const session = openSession(host, command);
  const trusted = flags.trusted === undefined ? undefined : readNote(flags.trusted);
  const witnesses = witnessPolicy(flags);
  const log = await openLog(flags, () => session.client(), globalOption(command, 'url'));
  const progress = createProgress(session.terminal, 'verifying entries:');
  try {
    const vkey = flags.vkey ?? log.vkey;
    if (vkey === undefined) {
      const message =
        'this log has no verifier key: the service is not initialized, and nothing in its log is signed';
      throw new CountersignError('unprocessable', message);
    }
    const seen = lastNoteOf(log.source);
    const report = await verifyLog(seen.source, {
      vkey,
      ...(trusted !== undefined && { trusted }),
      ...(witnesses !== undefined && { witnesses }),
      ...(!flags.signatures && { checkSigned: false }),
      onProgress: (done, total) => progress.update(done, total),
    });
    progress.end();
    const checked = { ...report, vkey, pinned: flags.vkey !== undefined, trusted: trusted !== undefined };
    session.print(checked, reportText);
    if (!report.ok) host.setExitCode(EXIT.error);
    else if (flags.save !== undefined) saveNote(flags.save, report, [seen.note(), trusted]);
  } finally {
    progress.end();
    log.close();
  }
}

/** The same source, and the last note that was read from it. */
function lastNoteOf(source: LogSource): {
  readonly source: LogSource;
  readonly note: () => string | undefined;
} {
  let last: string | undefined;
  async function* checkpoints(): AsyncGenerator<string> {
    for await (const note of source.checkpoints()) {
      last = note;
      yield note;
    }
  }
  return { source: { ...source, checkpoints }, note: () => last };
}

/** All notes of a good run were verified: the one of the report's size is the newest. */
function saveNote(file: string, report: GoodReport, notes: readonly (string | undefined)[]): void {
  const newest = notes.find((note) => note !== undefined && sizeOf(note) === report.checkpoint?.size);
  if (newest === undefined)
    throw new CountersignError('unprocessable', 'the log is empty: there is no checkpoint to save');
  try {
    writePrivateFile(file, Buffer.from(newest, 'utf8'));
  } catch (error) {
    throw new CountersignError(
      'invalid_request',
      `the checkpoint cannot be written to ${file}: ${whyNot(error)}`,
      [],
      error,
    );
  }
}

function readNote(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const message = `the trusted checkpoint cannot be read from ${file}: ${whyNot(error)}`;
    throw new CountersignError('invalid_request', message, [], error);
  }
}

function sizeOf(note: string): number {
  return parseCheckpoint(parseNote(note).text).size;
}

type GoodReport = VerifyReport & { readonly ok: true };
type Checked = VerifyReport & { readonly vkey: string; readonly pinned: boolean; readonly trusted: boolean };

function reportText(report: Checked): string {
  if (!report.ok) {
    const { index, through = index, problem, message } = report.firstBad;
    const where = through === index ? `entry ${index}` : `entries ${index} to ${through}`;
    return `FAILED at ${where}: ${problem}\n${printable(message)}`;
  }
  const { size, root, checkpoint, witnessed, unsignedTail, vkey, pinned, trusted } = report;
  const lines = details([
    ['entries', String(size)],
    ['root', root],
    [
      'checkpoint',
      checkpoint === undefined ? 'none' : `of ${checkpoint.size} entries, root ${checkpoint.root}`,
    ],
    [
      'cosigned',
      witnessed &&
        `${witnessed.size} entries by ${witnessed.names.join(', ')}; ${size - witnessed.size} after`,
    ],
    ['signatures checked', signaturesText(report)],
    ['entries after the checkpoint', String(unsignedTail)],
    ['verifier key', pinned ? vkey : undefined],
    ['key rotations', rotationsText(report)],
  ]);
  const pin = `verifier key taken from the log itself: pin it with --vkey '${printable(vkey)}'`;
  const keep =
    'a log that was cut or rolled back is shown only by a checkpoint kept elsewhere: --save one, give it with --trusted';
  const held = trusted || witnessed !== undefined;
  return ['OK', lines, ...(pinned ? [] : [pin]), ...(held ? [] : [keep])].join('\n');
}

function signaturesText(report: GoodReport): string {
  const { signatures, signaturesChecked, digestsNotRecomputed } = report;
  if (!signaturesChecked) return `none of ${signatures}, as asked with --no-signatures`;
  if (digestsNotRecomputed === 0) return String(signatures);
  return `${signatures} (${digestsNotRecomputed} of them over a digest that the log alone cannot recompute)`;
}

/** Undefined for a log that has had one key only. */
function rotationsText({ keyRotations, checkpointsNotChecked, currentVkey }: GoodReport): string | undefined {
  if (keyRotations === 0) return undefined;
  const skipped =
    checkpointsNotChecked === 0
      ? ''
      : `; ${checkpointsNotChecked} checkpoints by keys before the pinned one were not checked`;
  return `${keyRotations}, in force is ${currentVkey}${skipped}`;
}
