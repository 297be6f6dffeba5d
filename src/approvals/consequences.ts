import type { Key, KeyVersion } from '../keystore/keys.ts';
import { SIGNING_STATES } from '../keystore/life-cycle.ts';
import { keyUse, placesOfAddress } from '../policy/key-use.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import { MAX_OPEN } from './book.ts';
import type { RequestReads, SigningRequest } from './request.ts';

/** What hangs on a version of a key: to be looked at before it is destroyed. */
export interface Consequences {
  /** In plain words, one thing each. */
  readonly warnings: readonly string[];
  /** Ids of rules that name the key, itself or by a tag, or have the address of the version written in them. */
  readonly rules: readonly string[];
  /** Names of limits that count by key, where such a rule is. */
  readonly limits: readonly string[];
  readonly groups: readonly string[];
  /** Ids of requests for approval that wait for a signature of the version. */
  readonly requests: readonly string[];
}

export interface Surroundings {
  /** Undefined while there is none in force. */
  readonly policy: CompiledPolicy | undefined;
  /** Those that may come to a signature yet. */
  readonly open: readonly SigningRequest[];
}

export function destructionConsequences(
  key: Key,
  version: KeyVersion,
  { policy, open }: Surroundings,
): Consequences {
  const named = policy === undefined ? [] : rulesThatName(policy, key);
  const written = policy === undefined ? [] : placesOfAddress(policy, version.address);
  const use = policy && keyUse(policy, key);
  const limits = use?.limits.map(({ limit }) => limit) ?? [];
  const groups = use?.groups ?? [];
  const requests = open
    .filter(({ key: { id, version: number } }) => id === key.id && number === version.version)
    .map(({ id }) => id);
  return {
    warnings: [
      lastUse(version),
      ...others(key, version),
      ...said('rules of the policy that name the key, itself or by a tag', named),
      ...said('rules of the policy that have its address written in them', written),
      ...said('limits that count by key', limits),
      ...said('key groups of the policy that the key is in', groups),
      ...(use?.breakGlass === true ? ['the break-glass of the policy covers the key'] : []),
      ...(policy === undefined ? ['there is no policy in force, so that nothing is known of its rules'] : []),
      ...said('requests for approval that wait for its signature', requests),
    ],
    rules: [...new Set([...named, ...written])],
    limits,
    groups,
    requests,
  };
}

/** All requests that may come to a signature yet. */
export function openRequests(reads: Pick<RequestReads, 'requests'>): SigningRequest[] {
  return (['pending', 'approved'] as const).flatMap((status) => reads.requests({ status, limit: MAX_OPEN }));
}

/** Rules for every key are no reason to keep one. */
function rulesThatName(policy: CompiledPolicy, key: Key): string[] {
  return keyUse(policy, key).rules.flatMap(({ rule, by }) => (by === '*' ? [] : [rule]));
}

function lastUse({ lastUsedAt }: KeyVersion): string {
  return lastUsedAt === undefined ? 'it has never signed' : `it signed last at ${lastUsedAt}`;
}

function others(key: Key, { version }: KeyVersion): string[] {
  const rest = key.versions.filter((other) => other.version !== version);
  const primary = `it is the primary of key ${key.name}: who names no version gets no signature`;
  return [
    ...(key.primary === version ? [primary] : []),
    ...(rest.length === 0 ? [`it is the only version of key ${key.name}`] : []),
    ...(rest.length > 0 && !rest.some(({ state }) => SIGNING_STATES.includes(state))
      ? [`no other version of key ${key.name} signs`]
      : []),
  ];
}

const MAX_NAMED = 20;

function said(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > MAX_NAMED ? `, and ${names.length - MAX_NAMED} more` : '';
  return [`${what}: ${names.slice(0, MAX_NAMED).join(', ')}${more}`];
}
