import { CountersignError } from '../errors.ts';
import { damageIn, describeDamage } from '../storage/sqlite/damage.ts';
import { ApiError } from './client.ts';
import { printable } from './table.ts';

export const EXIT = { done: 0, error: 1, sealed: 2, denied: 3 } as const;

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof CountersignError)) return EXIT.error;
  if (error.code === 'sealed') return EXIT.sealed;
  return error.code === 'policy_denied' || error.code === 'forbidden' ? EXIT.denied : EXIT.error;
}

/** What went wrong, in one line; then each field, each rule that came close, and the request id. */
export function describeFailure(error: unknown): string {
  if (!(error instanceof CountersignError)) {
    const damage = damageIn(error);
    if (damage !== undefined) return `countersign: ${printable(describeDamage(damage))}`;
    return `countersign: unexpected error: ${printable(error instanceof Error ? error.message : String(error))}`;
  }
  const head = printable(error.message);
  // An error about one field may be that field's line already.
  const lines = [`countersign: ${head}`, ...fieldLines(error).filter((line) => line.trim() !== head)];
  if (error instanceof ApiError) {
    const failed = error.decision?.failed ?? [];
    lines.push(...failed.map(({ rule, predicate }) => `  rule ${printable(rule)}: ${printable(predicate)}`));
    lines.push(`  request ${printable(error.requestId)}`);
  }
  return lines.join('\n');
}

export function fieldLines({ errors }: Pick<CountersignError, 'errors'>): string[] {
  return errors.map(({ path, message }) => `  ${printable(path === '' ? message : `${path}: ${message}`)}`);
}
