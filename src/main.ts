import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { AccessService } from './access/access.ts';
import { Authenticator } from './access/authenticator.ts';
import { CanaryAlarms } from './access/canaries.ts';
import { Refusals } from './access/failures.ts';
import { LogReads } from './access/log-reads.ts';
import { IdentityProviders } from './access/oidc.ts';
import { SealAttempts } from './access/seal-attempts.ts';
import { Throttle } from './access/throttle.ts';
import { ApprovalService } from './approvals/approvals.ts';
import { KeyExports } from './approvals/export.ts';
import { RequestBook } from './approvals/book.ts';
import { ProposalService } from './approvals/proposals.ts';
import { SecondFactor } from './approvals/second-factor.ts';
import { systemAct } from './audit/act.ts';
import { Checkpointer } from './audit/checkpointer.ts';
import { ClockWatch } from './audit/clock-watch.ts';
import { AuditGate } from './audit/gate.ts';
import { ALERT_KINDS, alertText, watchAlerts } from './audit/alerts.ts';
import { AuditLog, type CommitProbe } from './audit/log.ts';
import { Outside } from './audit/outside.ts';
import type { CursorWrites } from './audit/sinks/cursors.ts';
import { Sinks } from './audit/sinks/sinks.ts';
import type { CheckpointWrites } from './audit/stored-entry.ts';
import { Backups } from './backup/backups.ts';
import { Fence } from './backup/fence.ts';
import { completeFirstStart, loadNewestPolicy, SEAL_KEY_FILE, type FirstStart } from './bootstrap.ts';
import type { Config } from './config.ts';
import { Admission } from './http/admission.ts';
import { createApp } from './http/app.ts';
import { KEEP_ANSWERS_MS, RequestAct } from './http/idempotency.ts';
import { accessRoutes } from './http/routes/access.ts';
import { auditStreamRoutes } from './http/routes/audit-stream.ts';
import { auditTreeRoutes } from './http/routes/audit-tree.ts';
import { auditRoutes } from './http/routes/audit.ts';
import { backupRoutes } from './http/routes/backup.ts';
import { keyExportRoutes } from './http/routes/key-export.ts';
import { keyImportRoutes } from './http/routes/key-import.ts';
import { keyStateRoutes } from './http/routes/key-states.ts';
import { keyRoutes } from './http/routes/keys.ts';
import { logKeyRoutes } from './http/routes/log-key.ts';
import { policyToolRoutes } from './http/routes/policy-tools.ts';
import { policyRoutes } from './http/routes/policy.ts';
import { proposalRoutes } from './http/routes/proposals.ts';
import { withReference } from './http/routes/reference.ts';
import { requestRoutes } from './http/routes/requests.ts';
import { rotationRoutes } from './http/routes/rotations.ts';
import { sealRoutes } from './http/routes/seal.ts';
import { secondFactorRoutes } from './http/routes/second-factor.ts';
import { signingRoutes } from './http/routes/signing.ts';
import { splitViewRoutes } from './http/routes/split-view.ts';
import { systemRoutes } from './http/routes/system.ts';
import { startServer } from './http/server.ts';
import type { Service } from './http/service.ts';
import { passphraseSource } from './keystore/passphrase-source.ts';
import { sealKeyFile } from './keystore/seal-file.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { LimitLedger, USAGE_KEPT_MS } from './policy/ledger.ts';
import { PolicyInForce } from './policy/policy.ts';
import { createRotations } from './rotation/create.ts';
import { fencedLink } from './signer/fenced-link.ts';
import { Destruction } from './signer/destruction.ts';
import { KeyService } from './signer/keys.ts';
import { LogKeys } from './signer/log-key.ts';
import { NonceGuard } from './signer/nonces.ts';
import { SigningPipeline } from './signer/pipeline.ts';
import { createSealing } from './signer/sealing.ts';
import { SignerSupervisor } from './signer/supervisor.ts';
import { TransferCustody } from './signer/transfer-custody.ts';
import { snapshotSource } from './storage/sqlite/snapshot.ts';
import { openSqliteStorage, type StorageTx } from './storage/sqlite/storage.ts';

export interface RunningService {
  readonly url: string;
  readonly firstStart: FirstStart | undefined;
  /** What whoever started it should know. */
  readonly notes: readonly string[];
  readonly notReady: () => readonly string[];
  /** Reads the TLS files again, if there are any, and opens the audit sinks anew. Throws `invalid_request`, and goes on with what it has. */
  reload(): void;
  /** Lets requests under way end, signs a last checkpoint, wipes, closes. */
  stop(): Promise<void>;
}

const SHUTDOWN_GRACE_MS = 10_000;
/** What the sinks have not got by then, they get after the next start. */
const SINK_GRACE_MS = 3_000;
const HOUSEKEEPING_MS = 10 * 60 * 1000;
/** How long a version that is due to be destroyed is kept at most. */
const DESTRUCTION_MS = 60 * 1000;
/** How long a step of a rotation is late at most. */
const ROTATION_MS = 1_000;
/** How long the root key is too old at most, and what was interrupted waits. */
const SEALING_MS = 60 * 1000;

/** The composition root: builds every part, hands each its dependencies, and starts them in order. */
export async function startService(config: Config, log: Log, probe?: CommitProbe): Promise<RunningService> {
  const version = packageVersion();
  const storage = openSqliteStorage(config.data, () => `countersign.local/${randomBytes(8).toString('hex')}`);
  const { reads, origin } = storage;
  const audit = new AuditLog<StorageTx>(storage, { node: config.node, version }, undefined, probe);
  const system = systemAct<StorageTx>(audit);
  const clock = new ClockWatch(system);
  const cursors: CursorWrites = {
    saveSinkCursors: (all) => audit.writeBeside(() => storage.saveSinkCursors(all)),
    forgetSinkCursors: (names) => audit.writeBeside(() => storage.forgetSinkCursors(names)),
  };
  const sinks = new Sinks(config.audit.sinks, audit, reads, cursors, system, {
    failed: (name, reason) => log.warn('sink.failed', { reason: `${name}: ${reason}` }),
    recovered: (name) => log.info('sink.recovered', { reason: name }),
  });
  const checkpoints: CheckpointWrites = {
    saveCheckpoint: (checkpoint) => audit.writeBeside(() => storage.saveCheckpoint(checkpoint)),
    saveCosigned: (checkpoint) => audit.writeBeside(() => storage.saveCosigned(checkpoint)),
  };
  const outside = new Outside(config.audit, {
    origin,
    log: audit,
    reads,
    writes: checkpoints,
    current: () => checkpointer.current(),
    act: system,
    onSplitView: ({ message, size }) => log.error('audit.split_view', { reason: message, size }),
  });
  const fence = new Fence(reads);
  const hindrances = [() => fence.hindrance, () => audit.hindrance, () => sinks.hindrance, () => outside.hindrance];
  const gate = new AuditGate(hindrances, outside);

  const supervisor = new SignerSupervisor({
    onReady: () => void reopen(),
    onLost: (reason) => void lost(reason),
  });
  const sealing = createSealing({
    link: fencedLink(supervisor, () => fence.hindrance),
    reads,
    counts: { saveEncryptions: (term, made) => audit.writeBeside(() => storage.saveEncryptions(term, made)) },
    act: system,
    keyFile: sealKeyFile(path.join(config.data, SEAL_KEY_FILE)),
    passphrase: config.passphrase && passphraseSource(config.passphrase),
    limits: config.keyring,
  });
  const { custody, seal } = sealing;
  const keys = new KeyService(reads, custody);
  const destruction = new Destruction({
    directory: keys.directory,
    act: system,
    forget: (key, version) => keys.forget(key, version),
    flushErased: () => storage.flushErased(),
  });
  const access = new AccessService(reads);
  const refusals = new Refusals(audit);
  const canaries = new CanaryAlarms(audit);
  const logReads = new LogReads(audit);
  const admission = new Admission({
    authenticator: new Authenticator(reads, audit, new IdentityProviders(config.oidc)),
    throttle: new Throttle(config.rateLimit),
    refusals,
    canaries,
    trustedProxies: config.trustedProxies,
  });
  const policy = new PolicyInForce();
  const ledger = new LimitLedger(reads, storage.head().time);
  const now = (): number => ledger.time();
  const desk = new RequestBook(reads, policy, now);
  const signing = new SigningPipeline<StorageTx>({
    keys,
    policy,
    ledger,
    nonces: new NonceGuard(reads),
    denied: reads,
    desk,
    canaries,
    custody,
    gate,
  });
  const rotation = createRotations({
    reads,
    keys,
    custody,
    policy,
    usageOf: ledger.usageOf,
    act: system,
    settings: config.rotation,
    now: () => Date.now(),
    onProblem: (reason) => log.error('rotation.failed', { reason }),
  });
  const secondFactor = new SecondFactor(reads, custody);
  const approvals = new ApprovalService({
    reads,
    policy,
    keys,
    signing,
    secondFactor,
    actOf: (actor, requestId) => new RequestAct(audit, { actor, requestId, arrived: performance.now() }),
    now,
  });
  const transfer = new TransferCustody(custody);
  const exports = new KeyExports({
    reads,
    policy,
    keys,
    asking: signing,
    desk,
    custody,
    transfer,
    canaries,
    gate,
    now,
  });
  const proposals = new ProposalService({ reads, policy, secondFactor, now });
  const logKeys = new LogKeys(origin, reads, custody);
  const checkpointer = new Checkpointer(origin, audit, reads, checkpoints, logKeys);
  checkpointer.onSigned((checkpoint) => outside.offer(checkpoint));

  const notReady = (): string[] => {
    const reasons: string[] = [];
    const { initialized, sealed } = seal.status();
    if (supervisor.state !== 'ready')
      reasons.push('the signer process is not running; it is being restarted');
    else if (!initialized) reasons.push('not initialized: countersign init (POST /v1/sys/init)');
    else if (sealed && fence.hindrance === undefined) reasons.push('sealed: countersign unseal (POST /v1/sys/unseal)');
    if (audit.failure !== undefined)
      reasons.push(`the audit log cannot be written (${audit.failure}): restart the service`);
    else reasons.push(...gate.reasons());
    if (policy.problem !== undefined) reasons.push(`no policy: ${policy.problem}`);
    return reasons;
  };

  async function lost(reason: string): Promise<void> {
    custody.lose();
    log.error('signer.lost', { reason });
    await system
      .record({ kind: 'signer.lost', outcome: 'failed', detail: { reason } })
      .catch(() => undefined);
  }

  async function reopen(): Promise<void> {
    try {
      if (fence.hindrance === undefined) await seal.resume(system);
      log.info('signer.restarted', { ...(supervisor.pid !== undefined && { pid: supervisor.pid }) });
    } catch (error) {
      log.error('signer.unseal_failed', { reason: error instanceof Error ? error.message : 'unknown' });
    } finally {
      custody.settle();
    }
  }

  const closing = new AbortController();
  const service: Service = {
    version,
    origin,
    storageEngine: 'sqlite',
    reads,
    log: audit,
    checkpointer,
    logKeys,
    fence,
    backups: new Backups(snapshotSource(config.data), config.data, version),
    gate,
    outside,
    seal,
    sealing,
    sealAttempts: new SealAttempts(),
    keys,
    rotations: rotation,
    emergencies: rotation.rotations,
    transfer,
    exports,
    policy,
    access,
    signing,
    approvals,
    proposals,
    secondFactor,
    sinks,
    closing: closing.signal,
    notReady,
  };
  const metrics = createMetrics({
    auditSize: () => audit.size,
    alertKinds: ALERT_KINDS,
    sealed: () => seal.status().sealed,
    ready: () => notReady().length === 0,
    rootKey: () => sealing.rootKey.status(),
    sinks: () => sinks.status(),
    outside: () => ({ ...outside.status(), splitView: outside.splitView.standing().length > 0 }),
  });
  watchAlerts(audit, (alert) => {
    metrics.countAlert(alert.kind, alert.count);
    log.error(alert.kind, { reason: alertText(alert) });
  });
  const routes = withReference(
    [
      ...systemRoutes(service, metrics),
      ...sealRoutes(service),
      ...logKeyRoutes(service),
      ...backupRoutes(service),
      ...keyRoutes(service),
      ...keyImportRoutes(service),
      ...keyExportRoutes(service),
      ...keyStateRoutes(service),
      ...rotationRoutes(service),
      ...signingRoutes(service, metrics),
      ...requestRoutes(service),
      ...policyRoutes(service),
      ...policyToolRoutes(service),
      ...proposalRoutes(service),
      ...accessRoutes(service),
      ...secondFactorRoutes(service),
      ...auditRoutes(service),
      ...auditTreeRoutes(service),
      ...splitViewRoutes(service),
      ...auditStreamRoutes(service),
    ],
    version,
  );

  try {
    await supervisor.start();
    const { time } = storage.head();
    await system.record({
      kind: 'service.started',
      outcome: 'done',
      detail: { version, node: process.version },
    });
    const sealNotes: string[] = [];
    if (!seal.status().initialized && config.seal === 'file') await seal.initialize(system, { type: 'file' });
    else if (fence.hindrance === undefined) {
      // A key file that is not there stops the start; with a passphrase that is wrong, a person can still unseal.
      await seal.resume(system).catch((error: unknown) => {
        if (config.passphrase === undefined) throw error;
        sealNotes.push(`not unsealed at the start: ${error instanceof Error ? error.message : 'unknown'}`);
      });
    }
    const { sealed, type } = seal.status();
    const notes = [
      ...sealNotes,
      ...(config.seal !== 'file' && type === 'file'
        ? ['this directory was made with the file seal and keeps it: --seal is for new directories']
        : []),
      ...(await loadNewestPolicy(config.data, reads, audit, policy)),
    ];
    await outside.start(await checkpointer.current().catch(() => reads.latestCheckpoint()));
    // Before the first start is completed: a port that is taken must not use up what is said only once.
    const app = createApp({ service, routes, log, metrics, admission, logReads });
    const server = await startServer(app, config.listen, config.tls);
    const parts = { reads, recorder: audit, access, keys, unsealed: !sealed };
    const firstStart = await completeFirstStart(config, parts);
    // So that there is one from the first moment on; while sealed, the first after unsealing.
    await checkpointer.current().catch(() => undefined);
    checkpointer.start();
    clock.start(time);
    sinks.start();
    const housekeeping = setInterval(() => {
      const time = new Date(Date.now() - KEEP_ANSWERS_MS).toISOString();
      try {
        audit.writeBeside(() => {
          storage.forgetAnswersBefore(time);
          storage.forgetUsageBefore(ledger.time() - USAGE_KEPT_MS);
        });
      } catch {
        log.error('housekeeping.failed', { reason: audit.failure ?? 'unknown' });
      }
    }, HOUSEKEEPING_MS);
    housekeeping.unref();
    const destroyDue = async (): Promise<void> => {
      try {
        await destruction.tick(new Date());
      } catch (error) {
        log.error('destruction.failed', { reason: error instanceof Error ? error.message : 'unknown' });
      }
    };
    await destroyDue();
    const destroying = setInterval(() => void destroyDue(), DESTRUCTION_MS);
    destroying.unref();
    // What a crash has left undone goes on at once.
    await rotation.tick();
    const rotating = setInterval(() => void rotation.tick(), ROTATION_MS);
    rotating.unref();
    const tendSeal = setInterval(() => {
      void sealing.tick().catch((error: unknown) => {
        log.error('seal.tick_failed', { reason: error instanceof Error ? error.message : 'unknown' });
      });
    }, SEALING_MS);
    tendSeal.unref();
    log.info('service.listening', { address: server.url });

    return {
      url: server.url,
      firstStart,
      notes,
      notReady,
      reload: () => {
        try {
          sinks.reload();
        } finally {
          server.reload();
        }
      },
      stop: async () => {
        supervisor.retire();
        closing.abort();
        await server.close(SHUTDOWN_GRACE_MS);
        clearInterval(housekeeping);
        clearInterval(destroying);
        clearInterval(rotating);
        await rotation.idle();
        clearInterval(tendSeal);
        sealing.rewrap.stop();
        checkpointer.stop();
        clock.stop();
        await refusals.flush();
        await canaries.flush();
        await logReads.flush();
        await system.record({ kind: 'service.stopped', outcome: 'done' }).catch(() => undefined);
        // Sealed by now, perhaps: then the next start signs for these entries.
        await outside.stop(await checkpointer.current().catch(() => reads.latestCheckpoint()));
        await sinks.stop(SINK_GRACE_MS).catch(() => undefined);
        await supervisor.stop();
        storage.close();
        log.info('service.stopped');
      },
    };
  } catch (error) {
    await supervisor.stop();
    storage.close();
    throw error;
  }
}

function packageVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
