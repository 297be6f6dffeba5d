import { selectsKey } from './compiled-rule.ts';
import type { LimitScope, PolicyOperation, Rule } from './model.ts';
import type { CompiledPolicy } from './policy.ts';

/** A key as policies see it. */
export interface NamedKey {
  readonly name: string;
  readonly tags: readonly string[];
}

/** A rule that covers a key: what of the key it selects, or `*` where it selects every key. */
export interface CoveringRule {
  readonly rule: string;
  readonly effect: Rule['effect'];
  readonly by: 'name' | 'tag' | '*';
  readonly draining: boolean;
  readonly operations: readonly PolicyOperation[];
}

/** What a policy says of one key: what is affected when the key goes, or gets another address. */
export interface KeyUse {
  readonly rules: readonly CoveringRule[];
  /** Names of key groups that it is in. */
  readonly groups: readonly string[];
  /** Limits that count by key or by key group. Every other limit counts what it signs, too. */
  readonly limits: readonly { readonly limit: string; readonly per: readonly LimitScope[] }[];
  readonly breakGlass: boolean;
}

export function keyUse({ model }: Pick<CompiledPolicy, 'model'>, key: NamedKey): KeyUse {
  const request = { ...key, address: '0x', draining: false } as const;
  return {
    rules: model.rules.flatMap((rule) => {
      const by = selectedBy(rule, key);
      const { id, effect, draining, operations } = rule;
      return by === undefined ? [] : [{ rule: id, effect, by, draining, operations: [...operations] }];
    }),
    groups: [...model.keyGroups].flatMap(([name, selector]) => (selectsKey(selector, request) ? [name] : [])),
    limits: model.limits.flatMap(({ name, per }) =>
      per.includes('key') || per.includes('keyGroup') ? [{ limit: name, per }] : [],
    ),
    breakGlass: model.breakGlass !== undefined && selectsKey(model.breakGlass.keys, request),
  };
}

/**
 * Places of a document that have an address written in them, whatever for, as `rules.pay` and `lists.cold`: what has to be
 * changed where a key gets another one.
 *
 * @param address lower-case.
 */
export function placesOfAddress({ document }: Pick<CompiledPolicy, 'document'>, address: string): string[] {
  const has = (part: unknown): boolean => JSON.stringify(part).toLowerCase().includes(address);
  const lists = Object.entries(document.lists ?? {}).filter(([, list]) => has(list));
  const rules = document.rules.filter(has);
  return [...lists.map(([name]) => `lists.${name}`), ...rules.map(({ id }) => `rules.${id}`)];
}

function selectedBy({ keys }: Rule, { name, tags }: NamedKey): CoveringRule['by'] | undefined {
  if (keys === undefined || keys.every) return '*';
  if (keys.names.has(name)) return 'name';
  return tags.some((tag) => keys.tags.has(tag)) ? 'tag' : undefined;
}
