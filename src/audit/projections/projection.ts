import { toCef } from './cef.ts';
import { toOcsf } from './ocsf.ts';
import { toPlain } from './plain.ts';
import type { Projection } from './read-entry.ts';

export const PROJECTION_NAMES = ['plain', 'ocsf', 'cef'] as const;
export type ProjectionName = (typeof PROJECTION_NAMES)[number];

export const PROJECTIONS: { readonly [name in ProjectionName]: Projection } = {
  plain: toPlain,
  ocsf: toOcsf,
  cef: toCef,
};
