import { fromHex, toHex } from '../bytes.ts';
import type { Intent } from '../intent/intent.ts';
import { keccak256 } from '../keccak.ts';
import type { Decision, Verdict } from './decision.ts';
import { LimitLedger, type Charged } from './ledger.ts';
import type { CompiledPolicy } from './policy.ts';
import { readLogged, type LoggedDecision, type LoggedEntry } from './replay-entry.ts';
import { settle } from './settle.ts';

/** A decision of the log that the candidate would not have made. */
export interface Difference {
  readonly index: number;
  /** RFC 3339. */
  readonly time: string;
  /** Names. */
  readonly principal: string;
  readonly key: string;
  readonly operation: string;
  readonly before: Pick<Decision, 'effect' | 'rule'>;
  readonly after: Pick<Decision, 'effect' | 'rule' | 'reason'>;
}

export interface ReplaySummary {
  readonly evaluated: number;
  readonly changed: number;
  readonly skipped: number;
  /** How many were skipped for which reason. */
  readonly reasons: { readonly [reason: string]: number };
}

/** The log's decisions, made again by another policy with limits of its own. Entries come in the log's order. */
export interface Replay {
  /** Judges and charges; says where another effect, or another set of approvals, comes out. */
  feed(entry: LoggedEntry): Difference | undefined;
  /** Charges only: what the limits hold when the first entry is fed. */
  warm(entry: LoggedEntry): void;
  summary(): ReplaySummary;
}

/**
 * Replays under a candidate: pure, nothing is signed or kept. What it allows that was not signed then is charged too,
 * for with it a signature would have been made; what failed for reasons that are none of the policy's is not.
 */
export function createReplay(candidate: CompiledPolicy): Replay {
  const run = new Run(candidate);
  const reasons = new Map<string, number>();
  let [evaluated, changed] = [0, 0];
  return {
    feed(entry) {
      const logged = readLogged(entry);
      if ('unreadable' in logged) {
        reasons.set(logged.unreadable, (reasons.get(logged.unreadable) ?? 0) + 1);
        return undefined;
      }
      evaluated++;
      const after = run.decide(logged);
      if (after === undefined || isSame(logged.before, after)) return undefined;
      changed++;
      return differenceOf(logged, after);
    },
    warm(entry) {
      const logged = readLogged(entry);
      if (!('unreadable' in logged)) run.decide(logged);
    },
    summary: () => ({
      evaluated,
      changed,
      skipped: [...reasons.values()].reduce((sum, count) => sum + count, 0),
      reasons: Object.fromEntries(reasons),
    }),
  };
}

/** The state of a service that has the candidate as its policy, as far as decisions depend on it. */
class Run {
  readonly #candidate: CompiledPolicy;
  /** Nothing is stored, so that nothing may be forgotten: windows are never evicted. */
  readonly #ledger: LimitLedger;
  #now = 0;
  /** By key address, chain and nonce: what was charged for a transaction that another may take the place of. */
  readonly #slots = new Map<string, readonly Charged[]>();
  /** By key address and digest: what had to wait then, and does not now. */
  readonly #early = new Set<string>();
  /** Digests of what the candidate does not allow. */
  readonly #denied = new Set<string>();

  constructor(candidate: CompiledPolicy) {
    this.#candidate = candidate;
    const reads = { usage: () => [], newestUsage: () => undefined };
    this.#ledger = new LimitLedger(reads, '', () => this.#now, Infinity);
  }

  /** undefined: the candidate has signed it before, so that nobody would have asked. */
  decide(logged: LoggedDecision): Decision | undefined {
    const { request, digest, intent, outcome, isExecution } = logged;
    this.#now = request.now;
    const name = `${request.key.address} ${digest ?? ''}`;
    if (isExecution && this.#early.delete(name)) return undefined;

    const verdict = this.#judge(logged);
    const slot = slotOf(logged);
    const already = (slot === undefined ? undefined : this.#slots.get(slot)) ?? [];
    // Of what was signed the log's nonce guard has made sure that it takes the place of what is in its slot.
    const charges = this.#ledger.discount(verdict.charges, outcome === 'done' ? already : []);
    const decision = settle({ ...verdict, charges }, this.#ledger.usageOf);
    const { effect } = decision;
    if (digest !== undefined && intent.operation !== 'digest') {
      if (effect === 'allow' || (effect === 'require' && outcome === 'done')) this.#denied.delete(digest);
      else this.#denied.add(digest);
    }
    if (effect === 'allow' ? FAILED.has(outcome) : effect === 'deny' || outcome !== 'done') return decision;

    if (outcome === 'pending') this.#early.add(name);
    const charged = this.#charge(charges);
    if (slot !== undefined && charged.length > 0) this.#slots.set(slot, [...already, ...charged]);
    return decision;
  }

  /** What hashes to something that is not allowed is denied. */
  #judge({ request, intent }: LoggedDecision): Verdict {
    const verdict = this.#candidate.judge(request);
    if (!digestsOf(intent).some((digest) => this.#denied.has(digest))) return verdict;
    const { policyRevision, policyHash, effect } = verdict.decision;
    if (effect === 'deny') return verdict;
    const reason = 'it hashes to something that the policy does not allow';
    return { decision: { effect: 'deny', policyRevision, policyHash, reason }, charges: [] };
  }

  #charge(charges: Verdict['charges']): readonly Charged[] {
    const reservation = this.#ledger.reserve(charges);
    const charged = reservation.commit({ addUsage: () => undefined });
    reservation.done();
    return charged;
  }
}

/** A signature was tried, and came to nothing: under any policy. */
const FAILED: ReadonlySet<string> = new Set(['refused', 'failed']);

function slotOf({ intent, request }: LoggedDecision): string | undefined {
  if (intent.operation !== 'transaction') return undefined;
  const { chainId, nonce } = intent.transaction;
  return `${request.key.address} ${chainId} ${nonce}`;
}

/** That a digest or a message may stand for: itself, or what it hashes to. */
function digestsOf(intent: Intent): readonly string[] {
  if (intent.operation === 'digest') return [intent.digest];
  if (intent.operation !== 'message') return [];
  return [intent.data, toHex(keccak256(fromHex(intent.data)))];
}

function isSame(before: LoggedDecision['before'], after: Decision): boolean {
  if (before.effect !== after.effect) return false;
  return before.effect !== 'require' || listed(before.approvals) === listed(after.approvals);
}

/** As many as the log lists. */
function listed(approvals: readonly string[] = []): string {
  return approvals.slice(0, MAX_LISTED).toSorted().join(' ');
}

const MAX_LISTED = 16;

function differenceOf({ index, time, request, intent, before }: LoggedDecision, after: Decision): Difference {
  const { effect, rule, reason } = after;
  return {
    index,
    time,
    principal: request.principal.name,
    key: request.key.name,
    operation: intent.operation,
    before: { effect: before.effect, ...(before.rule !== undefined && { rule: before.rule }) },
    after: { effect, ...(rule !== undefined && { rule }), reason },
  };
}
