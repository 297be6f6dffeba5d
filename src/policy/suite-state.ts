import type { JsonValue } from '../jcs.ts';
import { parseAmount, parseInteger, parseTokenAmount, type Parsed } from './amount.ts';
import type { UsageOf } from './decision.ts';
import type { Limit, LimitScope, PolicyModel } from './model.ts';
import { listNames, NAME, quote, readEntries, readNamed, type Path, type Problems } from './read.ts';

/** What limits hold before a test: by limit, then by scope, in the limit's unit. */
export type State = ReadonlyMap<string, ReadonlyMap<string, bigint>>;

/** `state: { limit: { scope: amount } }`. Without a model only its form is checked. */
export function readState(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  model: PolicyModel | undefined,
): State {
  const state = new Map<string, ReadonlyMap<string, bigint>>();
  for (const [name, scopes] of readNamed(value, path, problems)) {
    const limitPath = [...path, name];
    const entries = readEntries(scopes, limitPath, problems) ?? [];
    if (model === undefined) continue;
    const limit = model.limits.find((each) => each.name === name);
    if (limit === undefined) {
      const known = listNames(model.limits.map((each) => each.name));
      problems.add(limitPath, `is not a limit of the policy (${known}); correct the name`, 'key');
      continue;
    }
    const amounts = new Map<string, bigint>();
    for (const [scope, amount] of entries) {
      const scopePath = [...limitPath, scope];
      checkScope(scope, limit, scopePath, problems, model);
      const parsed = parseHeld(amount, limit);
      if ('value' in parsed) amounts.set(scope, parsed.value);
      else problems.add(scopePath, parsed.problem);
    }
    state.set(name, amounts);
  }
  return state;
}

function parseHeld(value: JsonValue, { meter }: Limit): Parsed {
  if (meter.kind === 'token') return parseTokenAmount(value, meter.token);
  return meter.kind === 'count' ? parseInteger(value) : parseAmount(value);
}

/** A scope that no request has would test nothing. */
function checkScope(
  scope: string,
  { name, per }: Limit,
  path: Path,
  problems: Problems,
  model: PolicyModel,
): void {
  if (per.length === 0) {
    if (scope !== 'all')
      problems.add(path, `is no scope of ${name}, which has one for everything; write all`, 'key');
    return;
  }
  const parts = scope.split('/');
  const wrong = per.findIndex((kind, index) => !isPart(kind, parts[index] ?? '', model));
  if (parts.length === per.length && wrong < 0) return;
  const what =
    parts.length === per.length
      ? `${quote(parts[wrong] ?? '')} is no ${HINTS[per[wrong] ?? 'key']}`
      : `${quote(scope)} has ${parts.length} of ${per.length} parts`;
  problems.add(path, `${what}; a scope of ${name} is ${per.join('/')}`, 'key');
}

const HINTS: { readonly [scope in LimitScope]: string } = {
  key: 'name of a key',
  principal: 'name of a principal',
  keyGroup: 'key group of the policy, nor "-" for keys without one',
  chain: 'chain id in decimal, nor "-" for requests without one',
};

function isPart(kind: LimitScope, part: string, { keyGroups }: PolicyModel): boolean {
  if (kind === 'chain') return part === '-' || 'value' in parseInteger(part);
  return kind === 'keyGroup' ? part === '-' || keyGroups.has(part) : NAME.test(part);
}

export function usageOf(state: State): UsageOf {
  return ({ limit, scope }) => state.get(limit)?.get(scope) ?? 0n;
}
