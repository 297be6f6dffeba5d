import { parseKeyRotation, type KeyRotation } from '../tree/key-rotation.ts';
import { parseNote, verifyNote, type Note } from '../tree/note.ts';
import { attempt } from './checkpoint.ts';
import { LogFault } from './fault.ts';
import { member, type EntryFields } from './fields.ts';

/**
 * Which key speaks for the log where. Followed forwards from the key that is pinned: each rotation is signed by the key
 * before it. Checkpoints of the keys before the pinned one cannot be checked, and are counted.
 */
export class KeyChain {
  /** The pinned key, until a rotation leads to the next. */
  #vkey: string;
  /** Whether it is known to be in force; before, the pinned key may be one that comes later in the log. */
  #inForce = false;
  /** The key that the last rotation led to. */
  #led: string | undefined;
  /** Checkpoints since that rotation that the pinned key has not signed, and the fault that the first of them is. */
  #doubted = 0;
  #doubt: LogFault | undefined;
  /** The first such fault before that rotation. */
  #earlier: LogFault | undefined;
  #notChecked = 0;

  constructor(vkey: string) {
    this.#vkey = vkey;
  }

  /** The key that must have signed what comes next, when it has been told apart by then. */
  get vkey(): string {
    return this.#vkey;
  }

  /** Checkpoints that keys before the pinned one have signed. */
  get notChecked(): number {
    return this.#notChecked;
  }

  /**
   * Whether the note of a checkpoint is signed by the key in force. False while that may be one before the pinned key;
   * throws `fault` when it cannot be.
   */
  admits(note: Note, fault: () => LogFault): boolean {
    if (verifyNote(note, this.#vkey)) {
      if (this.#doubt !== undefined) throw this.#doubt;
      this.#inForce = true;
      return true;
    }
    if (this.#inForce) throw fault();
    this.#doubt ??= fault();
    this.#doubted += 1;
    return false;
  }

  /**
   * Passes the entry of a rotation.
   * @param root of the tree over the entries before it.
   * @param vouched how many of these a checkpoint vouches for.
   */
  rotate(entry: EntryFields, index: number, root: Buffer, vouched: number): void {
    const rotation = authorised(entry, index);
    const { oldVkey, newVkey } = rotation;
    if (this.#led !== undefined && oldVkey !== this.#led) {
      throw refused(index, 'its old key is not the one that the rotation before it led to');
    }
    if (oldVkey === this.#vkey) {
      if (this.#doubt !== undefined) throw this.#doubt;
      this.#inForce = true;
    } else if (this.#inForce) {
      throw refused(index, 'its old key is not the one that is in force');
    }
    if (!rotation.root.equals(root)) {
      const message = `entries ${vouched} to ${index - 1} are not those that the old key has signed for at its rotation`;
      throw new LogFault(vouched, 'key_rotation', message, index);
    }
    this.#led = newVkey;
    if (this.#inForce) {
      this.#vkey = newVkey;
      return;
    }
    this.#notChecked += this.#doubted;
    this.#earlier ??= this.#doubt;
    this.#doubted = 0;
    this.#doubt = undefined;
    this.#inForce = newVkey === this.#vkey;
  }

  /** The log has ended. Throws when the pinned key is not one of its keys. */
  end(): void {
    const doubt = this.#earlier ?? this.#doubt;
    if (!this.#inForce && doubt !== undefined) throw doubt;
  }
}

/** What the entry of a rotation says, signed by the old key over as many entries as are before it. */
function authorised(entry: EntryFields, index: number): KeyRotation {
  const note = member(entry['detail'], 'note');
  const oldKey = member(entry['detail'], 'oldKey');
  const newKey = member(entry['detail'], 'newKey');
  if (entry['outcome'] !== 'done' || typeof note !== 'string')
    throw refused(index, 'there is no note of the old key');
  const parsed = attempt(() => parseNote(note));
  if (parsed instanceof Error) throw refused(index, `its note is ${parsed.message}`);
  const rotation = attempt(() => parseKeyRotation(parsed.text));
  if (rotation instanceof Error) throw refused(index, `its note is ${rotation.message}`);
  if (!verifyNote(parsed, rotation.oldVkey)) throw refused(index, 'its note is not signed by the old key');
  if (rotation.oldVkey !== oldKey || rotation.newVkey !== newKey) {
    throw refused(index, 'it names other keys than its note');
  }
  if (rotation.size !== index) throw refused(index, 'the old key has signed it for another place in the log');
  return rotation;
}

function refused(index: number, why: string): LogFault {
  return LogFault.ofEntry(index, 'key_rotation', `is not a rotation of the log's key: ${why}`);
}
