import { UNLIMITED, type Effect, type TokenEffect } from '../effects/effect.ts';
import { selectsKey } from './compiled-rule.ts';
import type { Charge, PolicyRequest } from './decision.ts';
import type { Limit, LimitScope, Meter, PolicyModel, Token } from './model.ts';
import { amountOf, tokenOf, valueOf, type Subject } from './subject.ts';

/** What a request that is signed takes from each limit, in the order of the limits. What is 0 is no charge. */
export type ChargesOf = (request: PolicyRequest, subject: Subject) => readonly Charge[];

export function createCharges({ limits, keyGroups }: Pick<PolicyModel, 'limits' | 'keyGroups'>): ChargesOf {
  return (request, subject) =>
    limits.flatMap((limit) => {
      const amount = measure(limit.meter, request, subject);
      return amount === 0n
        ? []
        : scopesOf(limit, request, subject).map((scope) => chargeOf(limit, scope, amount));
    });

  /** One scope, or for a key in several groups one for each. */
  function scopesOf({ per, meter }: Limit, request: PolicyRequest, subject: Subject): readonly string[] {
    if (per.length === 0) return ['all'];
    return per
      .map((scope) => namesOf(scope, meter, request, subject))
      .reduce((starts, ends) => starts.flatMap((start) => ends.map((end) => `${start}/${end}`)));
  }

  function namesOf(
    scope: LimitScope,
    meter: Meter,
    { key, principal }: PolicyRequest,
    subject: Subject,
  ): readonly string[] {
    switch (scope) {
      case 'key':
        return [key.name];
      case 'principal':
        return [principal.name];
      case 'chain': {
        // What counts for a token without naming a chain may be good on the token's.
        const chainId = meter.kind === 'token' ? meter.token.chain : subject.chainId;
        return [chainId === undefined ? '-' : chainId.toString()];
      }
      case 'keyGroup':
      default: {
        const groups = [...keyGroups]
          .filter(([, selector]) => selectsKey(selector, key))
          .map(([name]) => name);
        return groups.length === 0 ? ['-'] : groups;
      }
    }
  }
}

function chargeOf({ name, max, window, onExceed }: Limit, scope: string, amount: bigint): Charge {
  return { limit: name, scope, amount, max, window, onExceed };
}

function measure(meter: Meter, { effects: { effects } }: PolicyRequest, subject: Subject): bigint {
  switch (meter.kind) {
    case 'count':
      return 1n;
    case 'maxTotalFee':
      return subject.maxTotalFee ?? 0n;
    case 'value':
      return measureValue(effects);
    case 'token':
    default:
      return measureToken(meter, effects, subject);
  }
}

/**
 * What a call carries, or what the calls inside it carry together, whichever is more: a contract that makes calls may
 * have funds of its own. Calls of which that is certain come on top.
 */
function measureValue(effects: readonly Effect[]): bigint {
  let sum = 0n;
  let before: string | undefined;
  /** What the calls inside a call carry, by its path. */
  const inside = new Map<string, bigint>();
  // Calls stand behind the one that makes them.
  for (const effect of effects.toReversed()) {
    const value = valueOf(effect);
    if (value === undefined || (effect.kind !== 'call' && effect.kind !== 'create')) continue;
    const { path } = effect;
    // A call with several token effects stands there once for each, one after the other.
    if (path === before) continue;
    before = path;
    const carried = most(value, inside.get(path) ?? 0n);
    if (path === '' || effect.kind === 'create' || effect.ownFunds) sum += carried;
    else {
      const maker = path.slice(0, Math.max(path.lastIndexOf('.'), 0));
      inside.set(maker, (inside.get(maker) ?? 0n) + carried);
    }
  }
  return sum;
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function measureToken(
  { token, include }: Extract<Meter, { kind: 'token' }>,
  effects: readonly Effect[],
  { chainId }: Subject,
): bigint {
  // Typed data that names no chain may be good on the token's.
  if (chainId !== undefined && chainId !== token.chain) return 0n;
  let sum = 0n;
  for (const effect of effects) {
    const of = tokenOf(effect);
    if (of?.contract === token.address && include.has(of.action)) sum += countOf(token, of);
  }
  return sum;
}

/** An ERC-721 moves one by one, but for an approval of all. What has no amount of its standard counts as everything. */
function countOf(token: Token, effect: TokenEffect): bigint {
  if (token.standard === 'erc721' && effect.action !== 'setApprovalForAll') return 1n;
  return amountOf(token, effect) ?? UNLIMITED;
}
