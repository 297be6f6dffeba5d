import type { Status } from './answers.ts';
import type { Client } from './client.ts';
import type { Session } from './session.ts';
import { details, printable } from './table.ts';

export function printStatus(session: Session, { url }: Client, status: Status): void {
  session.print(status, () => statusText(url, status));
}

export function statusText(url: string, status: Status): string {
  const { version, seal, keyring, rekey, rewrap, policy, audit, storage, reasons, time } = status;
  const lines = details([
    ['service', `${url}, version ${version}`],
    ['state', stateOf(status)],
    ['seal', sealText(seal)],
    [
      'shares given',
      status.sealed && seal.have !== undefined ? `${seal.have} of ${seal.threshold}` : undefined,
    ],
    ['root key', keyring === null ? undefined : keyringText(keyring)],
    ['rekey', rekey && `${rekey.stage}, to ${sealText(rekey.to)}; expires ${rekey.expiresAt}`],
    ['rewrap', rewrap?.state === 'running' ? `${rewrap.done} of ${rewrap.total}` : undefined],
    ['policy', policy === null ? undefined : `revision ${policy.revision}, ${policy.hash}`],
    ['fencing epoch', epochText(status.fencing)],
    ['audit log', `${audit.size} entries, ${audit.origin}`],
    ...audit.sinks.map((sink): [string, string] => [`audit sink ${sink.name}`, sinkText(sink)]),
    ...outsideText(audit),
    ['storage', storage.engine],
    ['time', time],
  ]);
  const notes = [
    ...reasons.map((reason) => `not ready: ${reason}`),
    ...(seal.warning === undefined ? [] : [seal.warning]),
  ];
  return [lines, ...notes.map(printable)].join('\n');
}

/** `3 of 5 shares, set 00112233aabb`, or the type. */
export function sealText({
  type,
  shares,
  threshold,
  set,
}: Pick<Status['seal'], 'type' | 'shares' | 'threshold' | 'set'>): string | undefined {
  if (type !== 'shamir') return type ?? undefined;
  return `${threshold} of ${shares} shares${set === undefined ? '' : `, set ${set}`}`;
}

function keyringText({ term, createdAt, encryptions, oldTermKeys }: NonNullable<Status['keyring']>): string {
  const old = oldTermKeys === 0 ? '' : `; ${oldTermKeys} secrets under older terms: countersign rewrap`;
  return `term ${term} of ${createdAt}, up to ${encryptions} encryptions${old}`;
}

function sinkText({ state, lagEntries, lagSeconds, lastError }: Status['audit']['sinks'][number]): string {
  if (state === 'waiting') return 'has everything';
  const behind = `${lagEntries} entries and ${Math.round(lagSeconds)} s behind`;
  return state === 'sending' || lastError === undefined ? behind : `${state}, ${behind}: ${lastError.reason}`;
}

function stateOf({ initialized, sealed, ready }: Status): string {
  if (!initialized) return 'not initialized';
  if (sealed) return 'sealed';
  return ready ? 'unsealed, ready to sign' : 'unsealed, not ready to sign';
}

/** What is kept of the log outside, and what is not yet. */
function outsideText({ exposed, witnessed, anchored }: Status['audit']): [string, string][] {
  const lines: [string, string][] = [];
  if (witnessed !== undefined) {
    const { size, time, quorum, mode, witnesses } = witnessed;
    const when = time === undefined ? '' : ` at ${time}`;
    lines.push(['witnessed', `${size} entries${when}, ${quorum} of ${witnesses.length} needed, ${mode}`]);
    lines.push(...witnesses.map((each): [string, string] => [`witness ${each.name}`, holderText(each)]));
  }
  lines.push(
    ...(anchored?.anchors ?? []).map((each): [string, string] => [`anchor ${each.name}`, holderText(each)]),
  );
  if (lines.length > 0)
    lines.push([
      'held nowhere outside',
      `${exposed.entries} entries, the oldest ${Math.round(exposed.seconds)} s old`,
    ]);
  return lines;
}

function holderText({
  size,
  problem,
}: {
  readonly size: number;
  readonly problem?: string | undefined;
}): string {
  return `${size} entries${problem === undefined ? '' : `; ${problem}`}`;
}

/** Of a service that was never restored there is nothing to say. */
function epochText({ epoch, restored }: Status['fencing']): string | undefined {
  if (restored !== undefined) return `${epoch}, restored from a backup and not taken over`;
  return epoch === 1 ? undefined : String(epoch);
}
