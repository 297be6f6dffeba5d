import type { History } from '../history.ts';
import type { Evidence } from '../split-view.ts';
import { parseCheckpoint } from '../tree/checkpoint.ts';
import { parseNote } from '../tree/note.ts';

/** This log, as an anchor's checkpoint is held against it. */
export interface OwnLog {
  readonly origin: string;
  readonly history: History;
}

/**
 * What a checkpoint that is kept outside says against this log; undefined when the log continues it. Its signature is not
 * looked at: a log put back to before a change of its key does not know the key that signed what came later.
 * @throws CountersignError `invalid_request` for what is no checkpoint.
 */
export function contradictionIn(
  note: string,
  anchor: string,
  { origin, history }: OwnLog,
): Evidence | undefined {
  const checkpoint = parseCheckpoint(parseNote(note).text);
  const { size } = checkpoint;
  const root = checkpoint.root.toString('hex');
  const source = `anchor ${anchor}`;
  const ours = history.size();
  if (checkpoint.origin !== origin) {
    const message = `${source} keeps checkpoints of another log (${checkpoint.origin}): this log (${origin}) was put in its place, or the place is the anchor of two logs`;
    return { source, size, root, message };
  }
  if (size > ours) {
    const message = `${source} keeps a checkpoint over ${size} entries of this log, and the log has ${ours}: an older database was put back, or a second log is signed with this key`;
    return { source, size, root, message };
  }
  if (!history.root(size).equals(checkpoint.root)) {
    const message = `${source} keeps a checkpoint over ${size} entries with the root ${root}, and the first ${size} entries of this log have another: entries were changed, or an older database was put back and went on, or a second log is signed with this key`;
    return { source, size, root, message };
  }
  return undefined;
}
