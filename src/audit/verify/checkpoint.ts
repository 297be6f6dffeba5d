import { parseCheckpoint, type Checkpoint } from '../tree/checkpoint.ts';
import { parseNote, parseVkey, verifyNote } from '../tree/note.ts';

export type CheckpointProblem = 'checkpoint_malformed' | 'checkpoint_signature' | 'checkpoint_origin';

/** A checkpoint from its note, or what is wrong with it. Nothing in the note is read before its signature is verified. */
export function openCheckpoint(
  bytes: string,
  vkey: string,
): Checkpoint | { readonly problem: CheckpointProblem; readonly message: string } {
  const note = attempt(() => parseNote(bytes));
  if (note instanceof Error) return { problem: 'checkpoint_malformed', message: `is ${note.message}` };
  const { name } = parseVkey(vkey);
  if (!verifyNote(note, vkey)) {
    return { problem: 'checkpoint_signature', message: `is not signed by ${name} with this key` };
  }
  const checkpoint = attempt(() => parseCheckpoint(note.text));
  if (checkpoint instanceof Error)
    return { problem: 'checkpoint_malformed', message: `is ${checkpoint.message}` };
  if (checkpoint.origin === name) return checkpoint;
  const origin = JSON.stringify(checkpoint.origin);
  return { problem: 'checkpoint_origin', message: `belongs to another log, ${origin}` };
}

/** The error of a function in place of its result, for parsers that throw at what we report. */
export function attempt<T>(parse: () => T): T | Error {
  try {
    return parse();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
