import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { AccessService } from './access/access.ts';
import { Authenticator } from './access/authenticator.ts';
import { CanaryAlarms } from './access/canaries.ts';
import { Refusals } from './access/failures.ts';
import { LogReads } from './access/log-reads.ts';
import type { IdentityProviders } from './access/oidc.ts';
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
import { SEAL_KEY_FILE } from './bootstrap.ts';
import type { Config } from './config.ts';
import { Admission } from './http/admission.ts';
import { createApp } from './http/app.ts';
import { allRoutes } from './http/routes/all.ts';
import { RequestAct } from './http/idempotency.ts';
import type { Service } from './http/service.ts';
import { passphraseSource } from './keystore/passphrase-source.ts';
import { sealKeyFile } from './keystore/seal-file.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { LimitLedger } from './policy/ledger.ts';
import { PolicyInForce } from './policy/policy.ts';
import { createRotations } from './rotation/create.ts';
import { CheckedSigner } from './signer/checked-signer.ts';
import { SignatureChecker } from './signer/checker/checker.ts';
import { fencedLink } from './signer/fenced-link.ts';
import { Destruction } from './signer/destruction.ts';
import { KeyService } from './signer/keys.ts';
import { LogKeys } from './signer/log-key.ts';
import { NonceGuard } from './signer/nonces.ts';
import { SigningPipeline } from './signer/pipeline.ts';
import { createSealing } from './signer/sealing.ts';
import { SigningLoad } from './signer/signing-load.ts';
import { SignerSupervisor } from './signer/supervisor.ts';
import { TransferCustody } from './signer/transfer-custody.ts';
import { Damage } from './storage/sqlite/damage.ts';
import { snapshotSource } from './storage/sqlite/snapshot.ts';
import { openSqliteStorage, type StorageTx } from './storage/sqlite/storage.ts';

/** What only tests give. */
export interface TestHooks {
  /** Told of every commit of the log, before and after. */
  readonly probe?: CommitProbe | undefined;
  /** Run in the place of the signer process's own program, and of the checker's. */
  readonly signerProgram?: string | undefined;
  readonly checkerProgram?: URL | undefined;
}

/** All parts of a service, built and not yet started. */
export type Parts = ReturnType<typeof compose>;

/** Loaded for those who have some: the others would keep a megabyte of heap for it. Throws `invalid_request`. */
export async function loadIdentityProviders({ oidc }: Config): Promise<IdentityProviders | undefined> {
  if (oidc.length === 0) return undefined;
  const { IdentityProviders } = await import('./access/oidc.ts');
  return new IdentityProviders(oidc);
}

/** The composition root: builds every part and hands each its dependencies. main.ts starts them, and stops them. */
export function compose(
  config: Config,
  log: Log,
  providers: IdentityProviders | undefined,
  { probe, signerProgram, checkerProgram }: TestHooks = {},
) {
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
  const damage = new Damage((reason) => log.error('database.damaged', { reason }));
  const hindrances = [
    () => damage.hindrance,
    () => fence.hindrance,
    () => audit.hindrance,
    () => sinks.hindrance,
    () => outside.hindrance,
  ];
  const gate = new AuditGate(audit, hindrances, outside);

  const supervisor = new SignerSupervisor({
    onReady: () => void reopen(),
    onLost: (reason) => void lost(reason),
    program: signerProgram,
  });
  const checker = new SignatureChecker({
    onLost: (reason) => void checkerLost(reason),
    onReady: () => log.info('checker.restarted'),
    program: checkerProgram,
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
  const policy = new PolicyInForce();
  const ledger = new LimitLedger(reads, storage.head().time);
  const now = (): number => ledger.time();
  // Its waiting times are counted from the newest time there is: a clock that is behind must not shorten them.
  const keys = new KeyService(reads, custody, () => new Date(now()));
  const destruction = new Destruction({
    reads,
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
    authenticator: new Authenticator(reads, audit, providers),
    throttle: new Throttle(config.rateLimit),
    refusals,
    canaries,
    trustedProxies: config.trustedProxies,
  });
  const desk = new RequestBook(reads, policy, now);
  const load = new SigningLoad(config.load);
  const signing = new SigningPipeline<StorageTx>({
    keys,
    policy,
    ledger,
    nonces: new NonceGuard(reads),
    denied: reads,
    desk,
    canaries,
    custody,
    signer: new CheckedSigner({ custody, checker, supervisor }),
    gate,
    log: audit,
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
    latest: now,
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
    else if (sealed && fence.hindrance === undefined)
      reasons.push('sealed: countersign unseal (POST /v1/sys/unseal)');
    if (checker.state !== 'ready')
      reasons.push('signatures cannot be checked: the checker is not running; it is being restarted');
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

  async function checkerLost(reason: string): Promise<void> {
    log.error('checker.lost', { reason });
    await system
      .record({ kind: 'checker.lost', outcome: 'failed', detail: { reason } })
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
    load,
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
    sealed: () => seal.sealed,
    ready: () => notReady().length === 0,
    rootKey: () => sealing.rootKey.status(),
    shed: () => load.refused,
    sinks: () => sinks.status(),
    outside: () => ({ ...outside.status(), splitView: outside.splitView.standing().length > 0 }),
  });
  watchAlerts(audit, (alert) => {
    metrics.countAlert(alert.kind, alert.count);
    log.error(alert.kind, { reason: alertText(alert) });
  });
  const routes = allRoutes(service, metrics);
  const onFailure = (error: unknown): void => damage.look(error);
  const app = createApp({ service, routes, log, metrics, admission, logReads, onFailure });

  return {
    storage,
    audit,
    damage,
    system,
    clock,
    sinks,
    outside,
    fence,
    supervisor,
    checker,
    sealing,
    destruction,
    refusals,
    canaries,
    logReads,
    ledger,
    rotation,
    checkpointer,
    service,
    app,
    /** Ends the answers that go on and on. */
    close: () => closing.abort(),
  };
}

function packageVersion(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
