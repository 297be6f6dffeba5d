import type { Act, Answer } from '../audit/act.ts';
import type { Receipt } from '../audit/log.ts';
import { formatKeyRotation } from '../audit/tree/key-rotation.ts';
import type { Frontier } from '../audit/tree/merkle.ts';
import { formatNote, formatVkey, noteSignature } from '../audit/tree/note.ts';
import { fromHex, type Hex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Custody } from './custody.ts';
import type { KeyMaterial, NewKey } from './sealed-key.ts';

/** The Ed25519 key that signs the log's checkpoints. */
export interface LogKey {
  /** From 1; each rotation makes the next. */
  readonly version: number;
  /** 32 bytes. */
  readonly publicKey: Hex;
  readonly sealed: Uint8Array;
}

export interface LogKeyReads {
  /** The one in force. */
  logKey(): LogKey | undefined;
}

export interface LogKeyWrites {
  insertLogKey(key: LogKey, time: string): void;
  /** Erases the private halves of the keys before this version. */
  eraseLogKeysBefore(version: number): void;
}

/** What it is sealed as. */
export function logKeyName(version: number): NewKey {
  return { keyId: 'audit-log', version, curve: 'ed25519' };
}

/** The log's key as checkpoints need it, and its rotation. */
export class LogKeys {
  readonly #origin: string;
  readonly #reads: LogKeyReads;
  readonly #custody: Custody;
  #rotating = false;

  constructor(origin: string, reads: LogKeyReads, custody: Custody) {
    this.#origin = origin;
    this.#reads = reads;
    this.#custody = custody;
  }

  /** 32 bytes; undefined before the service is initialized. */
  publicKey(): Hex | undefined {
    return this.#reads.logKey()?.publicKey;
  }

  /** An Ed25519 signature over a checkpoint's text. Throws `sealed` when there is nobody to sign. */
  async sign(text: string): Promise<Uint8Array> {
    return await this.#custody.signCheckpoint(materialOf(this.#require()), text);
  }

  /**
   * Puts a new key in force with the entry that says so. The old one's last word is a note over the log as it is right
   * before, with the new one in it; then it is erased. Checkpoints that end before the entry are the old key's, all others
   * the new one's.
   */
  async rotate(act: Act<LogKeyWrites>, reason: string): Promise<LogKeyRotated> {
    if (this.#rotating)
      throw new CountersignError('conflict', 'the log’s key is being rotated by another request');
    this.#rotating = true;
    try {
      this.#custody.requireUnsealed();
      const old = this.#require();
      const version = old.version + 1;
      const { publicKey, sealed } = await this.#custody.generate(logKeyName(version));
      const oldKey = this.#vkey(old.publicKey);
      const newKey = this.#vkey(publicKey);
      const over = async (tree: Frontier): Promise<Detail> => {
        const rotation = { size: tree.size, root: tree.root(), oldVkey: oldKey, newVkey: newKey };
        const text = formatKeyRotation(rotation);
        const signature = await this.#custody.signKeyRotation(materialOf(old), text);
        const note = formatNote(text, [noteSignature(this.#origin, fromHex(old.publicKey), signature)]);
        return { oldKey, newKey, note, reason };
      };
      const draft = { kind: 'audit.key_rotated', outcome: 'done', over } as const;
      return await act.commit(draft, (tx, receipt) => {
        tx.insertLogKey({ version, publicKey, sealed }, new Date().toISOString());
        tx.eraseLogKeysBefore(version);
        return { oldKey, newKey, receipt: { ...receipt } };
      });
    } finally {
      this.#rotating = false;
    }
  }

  #require(): LogKey {
    const key = this.#reads.logKey();
    if (key === undefined)
      throw new CountersignError('sealed', 'the service is not initialized: the log has no key');
    return key;
  }

  #vkey(publicKey: Hex): string {
    return formatVkey(this.#origin, fromHex(publicKey));
  }
}

/** Verifier keys (C2SP signed-note), and where the log says so. */
export interface LogKeyRotated extends Answer {
  readonly oldKey: string;
  readonly newKey: string;
  readonly receipt: { readonly [name in keyof Receipt]: Receipt[name] };
}

type Detail = { readonly [name: string]: JsonValue };

function materialOf({ version, publicKey, sealed }: LogKey): KeyMaterial {
  return { identity: { ...logKeyName(version), address: publicKey }, sealed };
}
