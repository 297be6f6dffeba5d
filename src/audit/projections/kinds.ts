import type { Entry, EntryKind } from '../entry.ts';

/** How bad it is that this happened, as OCSF counts: 1 informational, 2 low, 3 medium, 4 high, 5 critical. */
export type Severity = 1 | 2 | 3 | 4 | 5;

export type Activity = 'create' | 'read' | 'update' | 'delete' | 'other';

export interface KindView {
  /** In plain words. */
  readonly name: string;
  readonly activity: Activity;
  /** When it took effect, or waits. */
  readonly done: Severity;
  /** When it was denied, refused, or failed. */
  readonly otherwise: Severity;
}

/** What the formats of other systems say of each kind of entry. The table of it is in docs/audit-formats.md. */
export const KIND_VIEWS: { readonly [kind in EntryKind]: KindView } = {
  'service.started': view('Service started', 'other', 1, 3),
  'service.stopped': view('Service stopped', 'other', 1, 3),
  'signer.lost': view('Signer process ended unasked', 'other', 4, 4),
  'checker.lost': view('Checker of signatures ended unasked', 'other', 4, 4),
  'seal.initialized': view('Root keyring made', 'create', 3, 3),
  'seal.unsealed': view('Unsealed', 'update', 2, 3),
  'seal.unseal_failed': view('Unsealing failed', 'update', 4, 4),
  'seal.sealed': view('Sealed', 'update', 2, 3),
  'seal.share_given': view('Share of a seal given', 'update', 2, 3),
  'seal.share_refused': view('Share of a seal refused', 'update', 4, 4),
  'seal.shares_dropped': view('Shares of a seal forgotten', 'update', 2, 3),
  'seal.attempts_limited': view('Too many wrong secrets of a seal', 'other', 4, 4),
  'seal.rekey_started': view('Change of the seal started', 'update', 3, 3),
  'seal.rekey_authorized': view('Change of the seal authorized', 'update', 3, 3),
  'seal.rekey_refused': view('Wrong secret for a change of the seal', 'update', 4, 4),
  'seal.rekey_cancelled': view('Change of the seal cancelled', 'update', 2, 3),
  'seal.rekeyed': view('Seal changed', 'update', 4, 4),
  'seal.root_rotated': view('Root key got a new term', 'update', 3, 3),
  'seal.rewrap_started': view('Keys are being sealed anew', 'update', 2, 3),
  'seal.rewrap_progressed': view('Some keys were sealed anew', 'update', 1, 3),
  'seal.rewrapped': view('Keys were sealed anew', 'update', 2, 3),
  'key.created': view('Key created', 'create', 2, 3),
  'key.imported': view('Key imported', 'create', 3, 3),
  'key.import_refused': view('Import of a key refused', 'create', 3, 3),
  'key.exported': view('Private key exported', 'read', 5, 4),
  'key.export_refused': view('Export of a private key refused', 'read', 4, 4),
  'key.state_changed': view('State of a key changed', 'update', 3, 3),
  'rotation.planned': view('Rotation of a key planned', 'create', 3, 3),
  'rotation.version_generated': view('New version of a key made', 'create', 2, 3),
  'rotation.overlap_began': view('Two versions of a key sign', 'update', 2, 3),
  'rotation.cut_over': view('Another version is the primary of a key', 'update', 3, 3),
  'rotation.drain_ended': view('Superseded version taken out of use', 'update', 3, 3),
  'rotation.destruction_scheduled': view('Superseded version waits for destruction', 'delete', 3, 3),
  'rotation.completed': view('Rotation of a key completed', 'update', 2, 3),
  'rotation.aborted': view('Rotation of a key aborted', 'update', 3, 3),
  'rotation.wait_passed': view('What a rotation waited for has come', 'update', 2, 3),
  'rotation.step_timed_out': view('Timeout of a rotation', 'other', 3, 3),
  'rotation.schedule_changed': view('Schedule of rotations changed', 'update', 3, 3),
  'alert.rotation_stalled': view('Rotation waits for longer than planned', 'other', 4, 4),
  'key.compromised': view('Key compromised', 'update', 4, 3),
  'key.destruction_scheduled': view('Destruction of a key scheduled', 'update', 4, 3),
  'key.destruction_cancelled': view('Destruction of a key cancelled', 'update', 3, 3),
  'key.destroyed': view('Key destroyed', 'delete', 4, 4),
  'principal.created': view('Principal created', 'create', 3, 3),
  'principal.updated': view('Principal changed', 'update', 3, 3),
  'credential.created': view('Credential created', 'create', 3, 3),
  'credential.rotated': view('Credential rotated', 'update', 2, 3),
  'credential.revoked': view('Credential revoked', 'delete', 2, 3),
  'credential.locked': view('Credential locked out', 'update', 4, 4),
  'totp.enrolled': view('One-time codes enrolled', 'create', 2, 3),
  'totp.reset': view('One-time codes reset', 'delete', 3, 3),
  'audit.read': view('Audit log read', 'read', 1, 3),
  'audit.exported': view('Audit log exported', 'read', 3, 3),
  'audit.key_rotated': view('Key of the audit log rotated', 'update', 3, 4),
  'audit.sink_stalled': view('Required audit sink fell behind', 'other', 4, 4),
  'audit.sink_resumed': view('Required audit sink caught up', 'other', 2, 2),
  'audit.split_view': view('Two views of the audit log', 'other', 5, 5),
  'backup.created': view('Backup made', 'read', 3, 3),
  'service.taken_over': view('Restored service took over', 'other', 4, 4),
  'clock.stepped': view('Clock was set', 'other', 3, 3),
  'policy.loaded': view('Policy came into force', 'update', 3, 3),
  'policy.proposed': view('Policy proposed', 'create', 2, 3),
  'policy.approved': view('Policy proposal approved', 'update', 2, 3),
  'policy.rejected': view('Policy proposal rejected', 'update', 2, 3),
  'policy.activated': view('Policy proposal came into force', 'update', 3, 3),
  'policy.replayed': view('Policy replayed over the log', 'read', 1, 3),
  'request.created': view('Request waits for approval', 'create', 1, 3),
  'request.approved': view('Request approved', 'update', 2, 3),
  'request.rejected': view('Request rejected', 'update', 2, 3),
  'request.cancelled': view('Request cancelled', 'update', 1, 3),
  'request.executed': view('Approved request executed', 'update', 2, 3),
  'alert.canary_key_used': view('Canary key used', 'other', 5, 5),
  'alert.canary_credential_used': view('Canary credential used', 'other', 5, 5),
  break_glass: view('Denial overridden by break-glass', 'other', 5, 5),
  'alert.destruction_pending_used': view(
    'Key that waits for its destruction was asked to sign',
    'other',
    5,
    5,
  ),
  'access.unauthenticated': view('Not authenticated', 'other', 3, 3),
  'access.forbidden': view('Role does not suffice', 'other', 3, 3),
  sign: view('Request to sign', 'create', 1, 3),
};

export function viewOf({ kind }: Pick<Entry, 'kind'>): KindView {
  return KIND_VIEWS[kind];
}

export function severityOf({ kind, outcome }: Pick<Entry, 'kind' | 'outcome'>): Severity {
  const { done, otherwise } = viewOf({ kind });
  return outcome === 'done' || outcome === 'pending' ? done : otherwise;
}

/** Why it was decided or failed so, as far as the entry says. */
export function reasonOf({ decision, detail }: Pick<Entry, 'decision' | 'detail'>): string | undefined {
  const given = decision?.reason ?? detail?.['reason'];
  return typeof given === 'string' ? given : undefined;
}

function view(name: string, activity: Activity, done: Severity, otherwise: Severity): KindView {
  return { name, activity, done, otherwise };
}
