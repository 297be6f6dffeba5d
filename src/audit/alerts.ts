import { ENTRY_KINDS, type EntryDraft, type EntryKind } from './entry.ts';

/** The kinds of entries that somebody should look at now. */
export const ALERT_KINDS: readonly EntryKind[] = ENTRY_KINDS.filter((kind) => kind.startsWith('alert.'));

/** An entry of one of those kinds, or one that stands for many: then how many. */
export interface Alert {
  readonly kind: EntryKind;
  readonly count: number;
  readonly draft: EntryDraft;
}

interface GrowingLog {
  onAppend(listener: (added: readonly EntryDraft[]) => void): () => void;
}

/** Tells of every alert once it is on disk, whoever raised it. */
export function watchAlerts(log: GrowingLog, tell: (alert: Alert) => void): void {
  log.onAppend((added) => {
    for (const draft of added) {
      if (!draft.kind.startsWith('alert.')) continue;
      const count = draft.detail?.['count'];
      tell({ kind: draft.kind, count: typeof count === 'number' ? count : 1, draft });
    }
  });
}

/** One line of it for the service's own log. */
export function alertText({ count, draft: { actor, key, operation, detail } }: Alert): string {
  const who = actor?.principal ?? 'nobody that is known';
  const where = actor?.address === undefined ? '' : ` from ${actor.address}`;
  const what = [key?.name ?? detail?.['key'], operation, detail?.['path'] ?? detail?.['reason']].filter(
    (part) => typeof part === 'string',
  );
  return `${who}${where}: ${what.join(' ')}${count > 1 ? ` (${count} times)` : ''}`;
}
