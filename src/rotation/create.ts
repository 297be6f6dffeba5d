import type { RequestReads } from '../approvals/request.ts';
import type { Act } from '../audit/act.ts';
import type { KeyReads } from '../keystore/keys.ts';
import type { UsageOf } from '../policy/decision.ts';
import type { PolicyInForce } from '../policy/policy.ts';
import type { Custody } from '../signer/custody.ts';
import type { KeyService } from '../signer/keys.ts';
import type { Askers } from './asker.ts';
import type { RotationReads } from './rotation.ts';
import { RotationService } from './rotations.ts';
import { RotationRunner } from './runner.ts';
import { RotationScheduler } from './scheduler.ts';
import type { RotationSettings } from './settings.ts';
import { RotationSteps, type RotationTx } from './steps.ts';
import { webhookAsker } from './webhook.ts';

export interface RotationWorld {
  readonly reads: RotationReads & Pick<RequestReads, 'requests'> & Pick<KeyReads, 'scheduledKeys'>;
  readonly keys: Pick<KeyService, 'directory' | 'forgotten'>;
  readonly custody: Pick<Custody, 'unsealed' | 'generate'>;
  readonly policy: Pick<PolicyInForce, 'problem' | 'current'>;
  readonly usageOf: UsageOf;
  /** Of what the service does by itself. */
  readonly act: Act<RotationTx>;
  readonly settings: RotationSettings;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The same, and never behind the log: what must not come early is counted from it. */
  readonly latest: () => number;
  readonly onProblem: (what: string) => void;
}

export interface Rotations {
  readonly rotations: RotationService;
  readonly schedules: RotationScheduler;
  /** Does what is due. Never rejects. */
  tick(): Promise<void>;
  /** When nothing is under way. */
  idle(): Promise<void>;
}

/** All parts of the rotations. Throws `invalid_request` for webhooks whose CA file can't be read. */
export function createRotations(world: RotationWorld): Rotations {
  const { reads, keys, custody, policy, usageOf, act, settings, now, latest, onProblem } = world;
  const { directory } = keys;
  const askers: Askers = {
    webhooks: new Map(settings.webhooks.map((webhook) => [webhook.name, webhookAsker(webhook, now)])),
    conditions: new Map(),
  };
  const onError = (error: unknown): void => onProblem(error instanceof Error ? error.message : 'unknown');
  const forgotten = (): Promise<void> => keys.forgotten();
  const steps = new RotationSteps({ directory, custody, now, latest, forgotten });
  const runner = new RotationRunner({ reads, steps, askers, act, now, onError });
  const preview = {
    reads,
    policy: () => (policy.problem === undefined ? policy.current() : undefined),
    usageOf,
  };
  const rotations = new RotationService({
    directory,
    now,
    forgotten,
    reads,
    preview,
    askers,
    steps,
    runner,
  });
  const schedules = new RotationScheduler({
    directory,
    reads,
    rotations,
    askers,
    act,
    now,
    onProblem: (keyName, reason) => onProblem(`the schedule of key ${keyName}: ${reason}`),
  });
  return {
    rotations,
    schedules,
    tick: async () => {
      await runner.tick();
      await schedules.tick().catch(onError);
    },
    idle: () => runner.idle(),
  };
}
