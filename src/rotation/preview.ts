import { openRequests } from '../approvals/consequences.ts';
import type { RequestReads } from '../approvals/request.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';
import type { Charge, UsageOf } from '../policy/decision.ts';
import { keyUse, placesOfAddress } from '../policy/key-use.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import { versionOf } from '../signer/directory.ts';
import { afterStep, dueAt, outsideWaits, stepAfter, UNDO_WORDS } from './machine.ts';
import { waitText, WAIT_PLACES, type WaitPlace } from './plan.ts';
import { isOver, type Rotation, type RotationReads, type RotationStep } from './rotation.ts';
import { planToJson, type RotationJson } from './view.ts';

export interface PreviewParts {
  readonly reads: Pick<RotationReads, 'newestNonces' | 'usedScopes'> & Pick<RequestReads, 'requests'>;
  /** Undefined while there is none in force. */
  readonly policy: () => CompiledPolicy | undefined;
  readonly usageOf: UsageOf;
}

/** What a rotation would do, and what it would meet. Nothing is done, and nothing is known of the new version. */
export function previewOf(
  { reads, policy, usageOf }: PreviewParts,
  key: Key,
  rotation: Rotation,
): RotationJson {
  const old = versionOf(key, key.primary);
  const inForce = policy();
  const use = inForce && keyUse(inForce, key);
  const places = inForce === undefined ? [] : placesOfAddress(inForce, old.address);
  const requests = pendingRequests(reads, key, old);
  return {
    key: key.name,
    mode: rotation.mode,
    old: { version: old.version, address: old.address },
    // It is made in the signer process when the rotation begins; nobody knows its address before that.
    new: { version: Math.max(...key.versions.map(({ version }) => version)) + 1, address: null },
    plan: planToJson(rotation.plan),
    steps: stepsOf(rotation),
    policy:
      use === undefined
        ? null
        : {
            rules: use.rules.map((rule) => ({ ...rule })),
            groups: use.groups,
            limits: use.limits.map(({ limit, per }) => ({ limit, per })),
            breakGlass: use.breakGlass,
            address: places,
          },
    requests,
    limits: inForce === undefined ? [] : limitsInUse(reads, inForce, key, usageOf),
    nonces: reads.newestNonces(key.id, old.version).map(({ chainId, nonce }) => ({ chainId, nonce })),
    warnings: warningsOf(rotation, old, {
      drains: use?.rules.some(({ effect, draining }) => effect === 'allow' && draining) ?? false,
      places,
      requests: requests.length,
    }),
  };
}

/** As far as time alone tells. */
function stepsOf(rotation: Rotation): RotationJson[] {
  const steps: RotationJson[] = [];
  let at = rotation;
  while (!isOver(at) && steps.length < 8) {
    const step = stepAfter(at);
    const time = new Date(dueOf(at, step)).toISOString();
    const place = placeOf(step);
    steps.push({
      step,
      from: time,
      waits: outsideWaits(at, step).map(
        ({ wait }) => `${waitText(wait)} (${wait.timeout}, then ${wait.onTimeout})`,
      ),
      abort: place === undefined ? UNDO_WORDS.destroy : UNDO_WORDS[place],
    });
    at = afterStep(at, step, { time });
  }
  return steps;
}

function dueOf(rotation: Rotation, step: RotationStep): number {
  const waits = rotation.state === 'destroying' ? (rotation.plan.destroyAfterDays ?? 0) * 86_400_000 : 0;
  return dueAt(rotation, step) + waits;
}

function placeOf(step: RotationStep): WaitPlace | undefined {
  return step === 'replace' ? 'generate' : WAIT_PLACES.find((place) => place === step);
}

function pendingRequests(
  reads: PreviewParts['reads'],
  key: Key,
  { version }: KeyVersion,
): { readonly [name: string]: JsonValue }[] {
  return openRequests(reads)
    .filter((request) => request.key.id === key.id && request.key.version === version)
    .map(({ id, status, operation, requester, expiresAt }) => ({
      id,
      status,
      operation,
      requester: requester.name,
      expiresAt,
    }));
}

/** Of the limits that count by key, what this key has taken. They go by its name, and so go on with the new version. */
function limitsInUse(
  reads: PreviewParts['reads'],
  { model }: CompiledPolicy,
  key: Key,
  usageOf: UsageOf,
): RotationJson[] {
  return model.limits.flatMap(({ name, per, window, max, onExceed }) => {
    const place = per.indexOf('key');
    if (place === -1) return [];
    return reads
      .usedScopes(name, 0)
      .filter((scope) => scope.split('/')[place] === key.name)
      .flatMap((scope) => {
        const charge: Charge = { limit: name, scope, amount: 0n, max, window, onExceed };
        const used = usageOf(charge);
        return used === 0n ? [] : [{ limit: name, scope, used: `${used}`, max: `${max}` }];
      });
  });
}

interface Known {
  readonly drains: boolean;
  readonly places: readonly string[];
  readonly requests: number;
}

function warningsOf(
  { plan, mode }: Rotation,
  { version, address, state }: KeyVersion,
  { drains, places, requests }: Known,
): string[] {
  const warnings: string[] = [];
  if (mode === 'emergency')
    warnings.push(
      `version ${version} is compromised at once and never signs again: what ${address} owns can be moved by whoever has its key, and not by this service`,
    );
  if (places.length > 0)
    warnings.push(`${address} is written in ${places.join(', ')}: propose the new address there, too`);
  if (requests > 0)
    warnings.push(
      `${requests} request${requests === 1 ? ' waits' : 's wait'} for approval of signatures by version ${version}: after the cutover, only what rules with draining: true allow is signed by it`,
    );
  if (mode === 'normal' && !drains)
    warnings.push(
      `no rule with draining: true covers the key: from the cutover on, version ${version} signs nothing, so that what ${address} owns has to be moved before`,
    );
  if (mode === 'normal' && state !== 'enabled')
    warnings.push(`version ${version} is ${state}: nothing signs until the cutover`);
  if (mode === 'normal' && plan.destroyAfterDays !== null)
    warnings.push(
      `version ${version} is destroyed ${plan.destroyAfterDays} days after it was disabled, and with it whatever ${address} owns then`,
    );
  return warnings;
}
