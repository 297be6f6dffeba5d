import type { Key } from './answers.ts';
import { details, printable } from './table.ts';

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
  rotation,
}: Key): string {
  const head = details([
    ['key', name],
    ['state', state],
    ['tags', tags.join(', ')],
    ['created', createdAt],
    ['exportable', exportable ? 'yes, when others consent' : undefined],
    ['rotated', rotation && `every ${rotation.everyDays} days`],
    ['canary', canary === true ? 'yes: it never signs' : undefined],
  ]);
  const blocks = versions.map((version) =>
    details([
      ['version', `${version.version}${version.version === primary ? ' (primary)' : ''}`],
      ['  address', version.address],
      ['  public key', version.publicKey],
      ['  state', version.state],
      ['  because', version.stateReason && printable(version.stateReason)],
      ['  origin', version.origin],
      ['  created', version.createdAt],
      ['  last used', version.lastUsedAt ?? 'never'],
      ['  superseded', version.supersededAt],
      ['  compromised', version.compromisedAt],
      ['  to be destroyed', version.destroyAt],
      ['  destroyed', version.destroyedAt],
    ]),
  );
  return [head, ...blocks].join('\n\n');
}
