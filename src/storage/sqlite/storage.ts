import type { AccessReads, AccessWrites } from '../../access/principals.ts';
import type { ProposalReads, ProposalWrites } from '../../approvals/proposal.ts';
import type { RequestReads, RequestWrites } from '../../approvals/request.ts';
import type { TotpReads, TotpWrites } from '../../approvals/second-factor.ts';
import type { EntryWrites, LogHead, LogStorage } from '../../audit/log-storage.ts';
import type { Evidence, EvidenceReads, EvidenceWrites } from '../../audit/split-view.ts';
import type { CursorReads, CursorWrites } from '../../audit/sinks/cursors.ts';
import type { AuditReads, CheckpointWrites, TreeReads } from '../../audit/stored-entry.ts';
import type { FenceReads, FenceWrites } from '../../backup/fence.ts';
import type { IdempotencyReads, IdempotencyWrites } from '../../http/idempotency.ts';
import type { KeyReads, KeyWrites } from '../../keystore/keys.ts';
import type { UsageReads, UsageWrites } from '../../policy/ledger.ts';
import type { PolicyReads, PolicyWrites } from '../../policy/policy.ts';
import type { RotationReads, RotationWrites } from '../../rotation/rotation.ts';
import type { DeniedReads, DeniedWrites } from '../../signer/denied.ts';
import type { LogKeyReads, LogKeyWrites } from '../../signer/log-key.ts';
import type { NonceReads, NonceWrites } from '../../signer/nonces.ts';
import type { RewrapReads, RewrapWrites } from '../../signer/rewrap.ts';
import type { SealReads, SealWrites } from '../../signer/seal.ts';
import type { TermCounts, TermReads } from '../../signer/term-use.ts';
import { accessTables } from './access.ts';
import { proposalTable, requestTable } from './approvals.ts';
import { auditReads, auditWrites, checkLogEnds, readHead } from './audit.ts';
import { atOnce, openForWriting, truncateWal } from './database.ts';
import { fenceTable } from './fence.ts';
import { openHighWaterMark, type HighWaterMark } from './high-water-mark.ts';
import { checkKeys, keyTables } from './keys.ts';
import { deniedTable, usageTable, type UsageCleanup } from './limits.ts';
import { rotationTable } from './rotations.ts';
import { rewrapTables, termTable } from './root-key.ts';
import { idempotencyTable, nonceTable } from './signing.ts';
import { cursorTable } from './sinks.ts';
import { splitViewTable } from './split-views.ts';
import { fixedValue, policyTable, sealTables } from './system.ts';
import { totpTable } from './totp.ts';
import { checkTreeNodes, treeNodes } from './tree-nodes.ts';

export type StorageReads = KeyReads &
  RotationReads &
  AccessReads &
  NonceReads &
  UsageReads &
  DeniedReads &
  RequestReads &
  ProposalReads &
  TotpReads &
  IdempotencyReads &
  SealReads &
  TermReads &
  RewrapReads &
  LogKeyReads &
  PolicyReads &
  AuditReads &
  EvidenceReads &
  FenceReads &
  CursorReads &
  TreeReads;

/** What a commit of the audit log may write beside its entry. */
export type StorageTx = KeyWrites &
  RotationWrites &
  AccessWrites &
  NonceWrites &
  UsageWrites &
  DeniedWrites &
  RequestWrites &
  ProposalWrites &
  TotpWrites &
  IdempotencyWrites &
  SealWrites &
  RewrapWrites &
  LogKeyWrites &
  PolicyWrites &
  EvidenceWrites &
  FenceWrites;

export interface Storage
  extends LogStorage<StorageTx>, CheckpointWrites, CursorWrites, TermCounts, UsageCleanup {
  readonly reads: StorageReads;
  /** What the log has lost since it was last known to be on disk: evidence to be reported before anything is signed. */
  readonly lost: Evidence | undefined;
  /** The log's name in its checkpoints; made with the data directory. */
  readonly origin: string;
  forgetAnswersBefore(time: string): void;
  /**
   * Empties the write-ahead log, in which bytes that were overwritten since still stand. False while another process
   * reads the database as it was, and nothing was emptied.
   */
  flushErased(): boolean;
  close(): void;
}

/** Throws `conflict` when another process has the directory, `unprocessable` when its log was cut or added to. */
export function openSqliteStorage(directory: string, newOrigin: () => string): Storage {
  const { db, flush, close } = openForWriting(directory);
  let evidence: EvidenceReads & EvidenceWrites;
  let mark: HighWaterMark;
  try {
    evidence = splitViewTable(db);
    checkLogEnds(db);
    checkTreeNodes(db, readHead(db).frontier.size);
    checkKeys(db);
    mark = openHighWaterMark(directory, db, evidence);
  } catch (error) {
    close();
    throw error;
  }
  const { changedKeys, ...keys } = keyTables(db);
  const rotations = rotationTable(db);
  const access = accessTables(db);
  const nonces = nonceTable(db);
  const { sums, ...usage } = usageTable(db);
  const denied = deniedTable(db);
  const requests = requestTable(db);
  const proposals = proposalTable(db);
  const totp = totpTable(db);
  const idempotency = idempotencyTable(db);
  const seal = { ...sealTables(db), ...termTable(db), ...rewrapTables(db) };
  const policy = policyTable(db);
  const fence = fenceTable(db);
  const writes = auditWrites(db);
  const { nodes, keepNode } = treeNodes(db);
  const cursors = cursorTable(db);
  const signing = { ...nonces, ...usage, ...denied, ...requests, ...proposals, ...totp };
  const tables = {
    ...keys,
    ...rotations,
    ...access,
    ...signing,
    ...idempotency,
    ...seal,
    ...policy,
    ...evidence,
    ...fence,
  };
  let written = readHead(db).frontier.size;
  let onDisk = written;
  let raiseMark = (): void => undefined;
  const saveHead = (head: LogHead): void => {
    writes.saveHead(head);
    written = head.frontier.size;
    raiseMark = mark.reach(written);
  };
  const tx: StorageTx & EntryWrites = { ...tables, ...writes, saveHead, keepNode };

  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const savepoint = db.prepare('SAVEPOINT item');
  const release = db.prepare('RELEASE item');
  const undo = db.prepare('ROLLBACK TO item');

  return {
    // Entries and answers hold signatures: nobody sees one before it is sure to stay.
    reads: {
      ...tables,
      ...auditReads(db, () => onDisk),
      ...cursors,
      nodes,
      keptAnswer: (principalId, name) => {
        const kept = idempotency.keptAnswer(principalId, name);
        return kept !== undefined && kept.entry < onDisk ? kept : undefined;
      },
    },
    lost: mark.lost,
    origin: fixedValue(db, 'origin', newOrigin),
    head: () => readHead(db),

    commit: (work) => {
      begin.run();
      try {
        work(tx);
        sums.write();
        commit.run();
      } catch (error) {
        sums.undo(0);
        // SQLite has rolled back by itself after some errors; a second rollback says so and changes nothing.
        if (db.isTransaction) rollback.run();
        throw error;
      } finally {
        changedKeys.tell();
      }
    },

    flush: async () => {
      const size = written;
      const raise = raiseMark;
      await flush();
      raise();
      onDisk = size;
    },

    nested: (work) => {
      savepoint.run();
      const mark = sums.mark();
      try {
        const value = work();
        release.run();
        return value;
      } catch (error) {
        sums.undo(mark);
        undo.run();
        release.run();
        throw error;
      }
    },

    saveCheckpoint: (checkpoint) => atOnce(db, () => writes.saveCheckpoint(checkpoint)),
    saveCosigned: (checkpoint) => atOnce(db, () => writes.saveCosigned(checkpoint)),
    saveSinkCursors: (all) => atOnce(db, () => cursors.saveSinkCursors(all)),
    forgetSinkCursors: (names) => atOnce(db, () => cursors.forgetSinkCursors(names)),
    saveEncryptions: (term, encryptions) => atOnce(db, () => seal.saveEncryptions(term, encryptions)),
    forgetAnswersBefore: (time) => atOnce(db, () => idempotency.forgetAnswersBefore(time)),
    forgetUsageBefore: (time) => atOnce(db, () => usage.forgetUsageBefore(time)),
    flushErased: () => truncateWal(db),
    close: () => {
      close();
      mark.close();
    },
  };
}
