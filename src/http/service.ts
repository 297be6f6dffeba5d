import type { AccessService } from '../access/access.ts';
import type { SealAttempts } from '../access/seal-attempts.ts';
import type { AccessReads, AccessWrites } from '../access/principals.ts';
import type { Checkpointer } from '../audit/checkpointer.ts';
import type { AuditGate } from '../audit/gate.ts';
import type { Recorder } from '../audit/log.ts';
import type { GrowingLog } from '../audit/pages.ts';
import type { Outside } from '../audit/outside.ts';
import type { SinkStatus } from '../audit/sinks/sinks.ts';
import type { EvidenceWrites } from '../audit/split-view.ts';
import type { AuditReads, TreeReads } from '../audit/stored-entry.ts';
import type { ApprovalService } from '../approvals/approvals.ts';
import type { KeyExports } from '../approvals/export.ts';
import type { ProposalWrites } from '../approvals/proposal.ts';
import type { ProposalService } from '../approvals/proposals.ts';
import type { RequestReads, RequestWrites } from '../approvals/request.ts';
import type { SecondFactor, TotpWrites } from '../approvals/second-factor.ts';
import type { Backups } from '../backup/backups.ts';
import type { Fence, FenceWrites } from '../backup/fence.ts';
import type { PolicyInForce, PolicyReads, PolicyWrites } from '../policy/policy.ts';
import type { Rotations } from '../rotation/create.ts';
import type { RotationWrites } from '../rotation/rotation.ts';
import type { KeyService } from '../signer/keys.ts';
import type { LogKeys, LogKeyWrites } from '../signer/log-key.ts';
import type { SigningPipeline, SignTx } from '../signer/pipeline.ts';
import type { RewrapWrites } from '../signer/rewrap.ts';
import type { SealService, SealWrites } from '../signer/seal.ts';
import type { Sealing } from '../signer/sealing.ts';
import type { SigningLoad } from '../signer/signing-load.ts';
import type { TransferCustody } from '../signer/transfer-custody.ts';
import type { EmergencyRotations } from './routes/key-states.ts';
import type { IdempotencyReads, IdempotencyWrites } from './idempotency.ts';

/** All that a request may write beside its audit entry. */
export type ServiceTx = SignTx &
  AccessWrites &
  RequestWrites &
  ProposalWrites &
  PolicyWrites &
  TotpWrites &
  SealWrites &
  RewrapWrites &
  LogKeyWrites &
  EvidenceWrites &
  FenceWrites &
  RotationWrites &
  IdempotencyWrites;

/** The parts that the routes speak to; built in main.ts. */
export interface Service {
  readonly version: string;
  readonly origin: string;
  readonly storageEngine: string;
  readonly reads: AccessReads & AuditReads & TreeReads & IdempotencyReads & PolicyReads & RequestReads;
  readonly log: Recorder<ServiceTx> & GrowingLog & { settled(): Promise<void> };
  readonly checkpointer: Checkpointer;
  readonly gate: AuditGate;
  readonly outside: Outside;
  readonly logKeys: LogKeys;
  readonly fence: Fence;
  readonly backups: Backups;
  readonly seal: SealService;
  readonly sealing: Pick<Sealing, 'rekey' | 'rootKey' | 'rewrap'>;
  readonly sealAttempts: SealAttempts;
  readonly keys: KeyService;
  readonly transfer: TransferCustody;
  readonly exports: KeyExports;
  readonly rotations: Pick<Rotations, 'rotations' | 'schedules'>;
  readonly emergencies?: EmergencyRotations;
  readonly policy: PolicyInForce;
  readonly access: AccessService;
  readonly signing: SigningPipeline<ServiceTx>;
  readonly load: SigningLoad;
  readonly approvals: ApprovalService;
  readonly proposals: ProposalService;
  readonly secondFactor: SecondFactor;
  readonly sinks: { status(): SinkStatus[] };
  /** Aborted when the service stops: answers that go on and on end then. */
  readonly closing: AbortSignal;
  /** Reasons why the service is not ready to sign; empty when it is. */
  readonly notReady: () => readonly string[];
}
