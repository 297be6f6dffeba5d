import type { DatabaseSync } from 'node:sqlite';
import type { EvidenceReads, EvidenceWrites } from '../../audit/split-view.ts';

interface Row {
  source: string;
  size: number;
  root: string;
  message: string;
  time: string;
  acknowledged: number;
}

export function splitViewTable(db: DatabaseSync): EvidenceReads & EvidenceWrites {
  const all = db.prepare(
    'SELECT source, size, root, message, time, acknowledged FROM split_views ORDER BY seq',
  );
  const insert = db.prepare(
    'INSERT OR IGNORE INTO split_views (source, size, root, message, time) VALUES (?, ?, ?, ?, ?)',
  );
  const acknowledge = db.prepare('UPDATE split_views SET acknowledged = 1');

  return {
    evidence: () => (all.all() as unknown as Row[]).map(toEvidence),
    keepEvidence: ({ source, size, root = '', message }, time) => {
      insert.run(source, size, root, message, time);
    },
    acknowledgeEvidence: () => {
      acknowledge.run();
    },
  };
}

function toEvidence({ root, acknowledged, ...rest }: Row): ReturnType<EvidenceReads['evidence']>[number] {
  return { ...rest, ...(root !== '' && { root }), acknowledged: acknowledged === 1 };
}
