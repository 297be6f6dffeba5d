import type { Key } from './answers.ts';
import { details } from './table.ts';

/** A key and its versions, for people. */
export function keyText({
  name,
  state,
  tags,
  createdAt,
  primary,
  versions,
  canary,
  exportable,
}: Key): string {
  const head = details([
    ['key', name],
    ['state', state],
    ['tags', tags.join(', ')],
    ['created', createdAt],
    ['exportable', exportable ? 'yes, when others consent' : undefined],
    ['canary', canary === true ? 'yes: it never signs' : undefined],
  ]);
  const blocks = versions.map((version) =>
    details([
      ['version', `${version.version}${version.version === primary ? ' (primary)' : ''}`],
      ['  address', version.address],
      ['  public key', version.publicKey],
      ['  state', version.state],
      ['  origin', version.origin],
      ['  created', version.createdAt],
      ['  last used', version.lastUsedAt ?? 'never'],
    ]),
  );
  return [head, ...blocks].join('\n\n');
}
