import { completeFirstStart, loadNewestPolicy, type FirstStart } from './bootstrap.ts';
import { compose, loadIdentityProviders, type Parts, type TestHooks } from './composition.ts';
import type { Config } from './config.ts';
import { KEEP_ANSWERS_MS } from './http/idempotency.ts';
import { startServer, type RunningServer } from './http/server.ts';
import type { Log } from './log.ts';
import { Periodic } from './periodic.ts';
import { USAGE_KEPT_MS } from './policy/ledger.ts';

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
/** How late a step of a rotation is at most. */
const ROTATION_MS = 1_000;
/** How long the root key is too old at most, and what was interrupted waits. */
const SEALING_MS = 60 * 1000;

/**
 * Starts a service on a data directory, its parts in order, and stops them in the reverse one.
 */
export async function startService(config: Config, log: Log, hooks?: TestHooks): Promise<RunningService> {
  const parts = compose(config, log, await loadIdentityProviders(config), hooks);
  const { storage, audit, system, clock, sinks, outside, supervisor, checker, checkpointer, service } = parts;
  const { reads } = storage;
  let server: RunningServer | undefined;
  try {
    await Promise.all([supervisor.start(), checker.start()]);
    const { time } = storage.head();
    if (storage.lost !== undefined) await outside.splitView.report(storage.lost);
    const detail = { version: service.version, node: process.version };
    await system.record({ kind: 'service.started', outcome: 'done', detail });
    const notes = [
      ...(await openSeal(config, parts)),
      ...(await loadNewestPolicy(config.data, reads, audit, service.policy)),
    ];
    await outside.start(await checkpointer.current().catch(() => reads.latestCheckpoint()));
    // Before the first start is completed: a port that is taken must not use up what is said only once.
    const listening = await startServer(parts.app, config.listen, config.tls);
    server = listening;
    const { access, keys, seal, notReady } = service;
    const unsealed = !seal.sealed;
    const firstStart = await completeFirstStart(config, { reads, recorder: audit, access, keys, unsealed });
    // So that there is one from the first moment on; while sealed, the first after unsealing.
    await checkpointer.current().catch(() => undefined);
    checkpointer.start();
    clock.start(time);
    // Receivers know the old service's entries under the same indexes.
    parts.fence.whenLifted(() => sinks.start());
    const periodic = await startPeriodic(parts, log);
    log.info('service.listening', { address: listening.url });

    return {
      url: listening.url,
      firstStart,
      notes,
      notReady,
      reload: () => {
        try {
          sinks.reload();
        } finally {
          listening.reload();
        }
      },
      stop: async () => {
        supervisor.retire();
        parts.close();
        await listening.close(SHUTDOWN_GRACE_MS);
        periodic.stop();
        await stopParts(parts);
        log.info('service.stopped');
      },
    };
  } catch (error) {
    await abandon(parts, server);
    throw error;
  }
}

/** Ends what a start that failed has begun, whatever of it fails too: nothing of it may go on, nor keep the process alive. */
async function abandon(parts: Parts, server: RunningServer | undefined): Promise<void> {
  parts.close();
  parts.checkpointer.stop();
  parts.clock.stop();
  await Promise.allSettled([server?.close(0), parts.outside.stop(undefined), parts.sinks.stop(0)]);
  parts.checker.stop();
  await parts.supervisor.stop();
  parts.storage.close();
}

/** Makes the seal of a new directory, or opens what opens without a person. Returns what to tell whoever started it. */
async function openSeal(config: Config, { fence, sealing, system }: Parts): Promise<string[]> {
  const { seal } = sealing;
  const notes: string[] = [];
  if (!seal.status().initialized && config.seal === 'file') await seal.initialize(system, { type: 'file' });
  else if (fence.hindrance === undefined) {
    // A key file that is not there stops the start; with a passphrase that is wrong, a person can still unseal.
    await seal.resume(system).catch((error: unknown) => {
      if (config.passphrase === undefined) throw error;
      notes.push(`not unsealed at the start: ${error instanceof Error ? error.message : 'unknown'}`);
    });
  }
  if (config.seal !== 'file' && seal.status().type === 'file')
    notes.push('this directory was made with the file seal and keeps it: --seal is for new directories');
  return notes;
}

/** What a crash has left undone goes on at once, and the rest when it is due. */
async function startPeriodic(parts: Parts, log: Log): Promise<Periodic> {
  const { storage, audit, damage, ledger, destruction, fence, rotation, sealing, service } = parts;
  const periodic = new Periodic(log, (error) => damage.look(error));
  // A restored service does nothing of its own accord, and tells nobody of it, before it has taken over.
  const live = (work: () => Promise<void>) => async (): Promise<void> => {
    if (fence.hindrance === undefined) await work();
  };
  const destroy = live(() => destruction.tick(new Date()));
  const rotate = live(() => rotation.tick());
  await periodic.once('destruction.failed', destroy);
  await rotate();
  periodic.every(DESTRUCTION_MS, 'destruction.failed', destroy);
  periodic.every(ROTATION_MS, 'rotation.failed', rotate);
  periodic.every(
    SEALING_MS,
    'seal.tick_failed',
    live(() => sealing.tick()),
  );
  periodic.every(HOUSEKEEPING_MS, 'housekeeping.failed', () => {
    const time = new Date(Date.now() - KEEP_ANSWERS_MS).toISOString();
    audit.writeBeside(() => {
      storage.forgetAnswersBefore(time);
      storage.forgetUsageBefore(ledger.time() - USAGE_KEPT_MS);
    });
    service.backups.removeAbandoned();
  });
  return periodic;
}

/** The server is closed by now: nobody asks for anything any more. */
async function stopParts(parts: Parts): Promise<void> {
  const { storage, system, outside, sinks, supervisor, checkpointer } = parts;
  await parts.rotation.idle();
  parts.sealing.rewrap.stop();
  checkpointer.stop();
  parts.clock.stop();
  await parts.refusals.flush();
  await parts.canaries.flush();
  await parts.logReads.flush();
  await system.record({ kind: 'service.stopped', outcome: 'done' }).catch(() => undefined);
  // Sealed by now, perhaps: then the next start signs for these entries.
  await outside.stop(await checkpointer.current().catch(() => storage.reads.latestCheckpoint()));
  await sinks.stop(SINK_GRACE_MS).catch(() => undefined);
  parts.checker.stop();
  await supervisor.stop();
  storage.close();
}
