import type { Hex } from '../bytes.ts';
import type { Abi } from './abis.ts';
import type { Token } from './model.ts';
import type { Quota } from './quota.ts';
import type { Problems } from './read.ts';

export type Lists = ReadonlyMap<string, ReadonlySet<Hex>>;

/** What comparisons may refer to, and where their problems go. */
export interface ListContext {
  readonly problems: Problems;
  readonly quota: Quota;
  readonly lists: Lists;
}

/** What conditions may refer to. */
export interface Context extends ListContext {
  readonly tokens: ReadonlyMap<string, Token>;
  readonly abis: ReadonlyMap<string, Abi>;
}
