import { z } from 'zod';
import type { Act, Answer } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';

/** Entries that somebody outside has seen and that a restored log does not have; both inclusive. */
const lostSchema = z.strictObject({ from: z.int().min(0), to: z.int().min(0) });

/** The mark on a database that comes out of a backup. */
export const restoredFromSchema = z.strictObject({
  /** The fencing epoch of the service that was backed up. */
  epoch: z.int().min(1),
  /** Of its log in the backup. */
  size: z.int().min(0),
  /** Hex. */
  root: z.string(),
  /** RFC 3339. */
  backupAt: z.string(),
  /** When it was restored; absent when the backup was taken apart by other means. */
  restoredAt: z.string().optional(),
  lost: lostSchema.optional(),
  /** Why the loss was accepted. */
  lossReason: z.string().optional(),
});
export type RestoredFrom = z.output<typeof restoredFromSchema>;

export interface FenceReads {
  /** From 1; one more with each take-over. */
  fencingEpoch(): number;
  /** Undefined on a database that was never restored, or taken over since. */
  restoredFrom(): RestoredFrom | undefined;
}

export interface FenceWrites {
  /** Takes the mark away. */
  takeOver(epoch: number): void;
}

export interface FenceStatus {
  readonly epoch: number;
  readonly restored?: RestoredFrom;
}

/**
 * Keeps a restored database from going on as the live service while the one that it was taken of may still run: two of
 * them would sign different transactions for one nonce, charge the limits twice and sign two histories of the log. Nobody
 * but an operator can know that the old one is gone, and says so by taking over.
 */
export class Fence {
  readonly #reads: FenceReads;
  readonly #waiting: (() => void)[] = [];
  /** Asked for with every signature. */
  #restored: RestoredFrom | undefined;

  constructor(reads: FenceReads) {
    this.#reads = reads;
    this.#restored = reads.restoredFrom();
  }

  /** Why nothing is to be opened or signed; undefined when there is no mark. */
  get hindrance(): string | undefined {
    const restored = this.#restored;
    if (restored === undefined) return undefined;
    return (
      `this directory was restored from a backup of ${restored.backupAt} (${restored.size} entries, epoch ${restored.epoch}), and the service ` +
      'that it was taken of may still run: stop that one for good, then take over (countersign backup take-over --reason …, or ' +
      'start with --take-over REASON). Until then nothing is unsealed or signed here'
    );
  }

  /** Does it now, or when the service takes over. */
  whenLifted(work: () => void): void {
    if (this.#restored === undefined) work();
    else this.#waiting.push(work);
  }

  status(): FenceStatus {
    const restored = this.#restored;
    return { epoch: this.#reads.fencingEpoch(), ...(restored !== undefined && { restored }) };
  }

  /**
   * By an operator who knows that the old service is gone. Throws `conflict` where nothing was restored.
   *
   * @param account of the machine, where it is done beside the service, which knows who asks.
   */
  async takeOver(act: Act<FenceWrites>, reason: string, account?: string): Promise<TakenOver> {
    const restored = this.#restored;
    if (restored === undefined) {
      throw new CountersignError(
        'conflict',
        'this directory was not restored: there is nothing to take over',
      );
    }
    const { size, root, epoch, backupAt, restoredAt, lost, lossReason } = restored;
    const newEpoch = epoch + 1;
    const about = {
      restoredSize: size,
      restoredRoot: root,
      backupAt,
      ...(restoredAt !== undefined && { restoredAt }),
      oldEpoch: epoch,
      newEpoch,
      ...(lost !== undefined && { lost: { ...lost } }),
    };
    const detail = {
      ...about,
      ...(lossReason !== undefined && { lossReason }),
      ...(account !== undefined && { account }),
      reason,
    };
    const taken = await act.commit({ kind: 'service.taken_over', outcome: 'done', detail }, (tx) => {
      // Of two at once, the second finds no mark.
      if (this.#reads.restoredFrom() === undefined)
        throw new CountersignError('conflict', 'this directory has been taken over already');
      tx.takeOver(newEpoch);
      return { ...about, warnings: dangersOf(restored) };
    });
    this.#restored = undefined;
    for (const work of this.#waiting.splice(0)) work();
    return taken;
  }
}

export interface TakenOver extends Answer {
  readonly restoredSize: number;
  readonly restoredRoot: string;
  readonly oldEpoch: number;
  readonly newEpoch: number;
  readonly lost?: { readonly from: number; readonly to: number };
  readonly warnings: readonly string[];
}

/** What a service does not know that goes on from an older state, in sentences. */
export function dangersOf({ size, backupAt, lost }: RestoredFrom): string[] {
  const known =
    lost === undefined
      ? `Whatever was done after entry ${size - 1} (${backupAt}) is unknown here.`
      : `Entries ${lost.from} to ${lost.to} at least are lost, and all that they did is unknown here.`;
  return [
    known,
    'Nonces: a transaction that was signed after the backup can be signed again with the same nonce and other content. Before signing for an account, compare its pending nonce on the chain with what its services believe.',
    'Limits: what was charged after the backup is not counted. Until the longest window has passed, up to twice a limit may be spent.',
    'Idempotency keys: a request that was answered after the backup and is repeated now is done again.',
    'Approvals: requests that were executed, rejected or cancelled after the backup are pending again. Reject what should not go on.',
    'Credentials and roles: what was revoked, disabled or taken away after the backup is in force again, and one-time codes of that time can be used once more. Revoke again.',
    'Keys and policy: versions that were disabled, compromised or destroyed, and policies that were replaced after the backup are as they were. Keys made after it are gone.',
  ];
}
