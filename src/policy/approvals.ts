import { ROLES, type Role } from '../access/roles.ts';
import type { JsonValue } from '../jcs.ts';
import { readCount } from './comparison.ts';
import type { Approval } from './model.ts';
import { readDuration } from './moment.ts';
import {
  isList,
  quote,
  readBoolean,
  readChoice,
  readMapping,
  readNamed,
  readReference,
  type Path,
  type Problems,
} from './read.ts';

const APPROVAL = ['all', 'distinct', 'excludeRequester', 'ttl', 'rejects', 'credential'];
const CREDENTIALS = ['otp', 'mtls'] as const;

/** Who asks for signatures must not consent to them, and who checks must not act. */
const APPROVING = ROLES.filter((role) => role !== 'signer' && role !== 'auditor');

const DAY = 86_400_000;
/** What is consented to should still be remembered when it is done. */
const MAX_TTL = 30 * DAY;
const MAX_APPROVERS = 100;

/** `approvals`: by name, `{ all: [{ role, m }], distinct, excludeRequester, ttl, rejects, credential? }`. */
export function readApprovals(
  value: JsonValue | undefined,
  problems: Problems,
): ReadonlyMap<string, Approval> {
  const approvals = new Map<string, Approval>();
  for (const [name, item] of readNamed(value, ['approvals'], problems)) {
    const path = ['approvals', name];
    const members = readMapping(item, path, problems, APPROVAL);
    if (members === undefined) continue;
    const flag = (member: string): boolean =>
      !members.has(member) || readBoolean(members.get(member), [...path, member], problems) !== false;
    const count = members.has('rejects')
      ? readCount(members.get('rejects'), [...path, 'rejects'], problems, { min: 1, max: MAX_APPROVERS })
      : 1;
    const credential = members.has('credential')
      ? readChoice(members.get('credential'), [...path, 'credential'], problems, CREDENTIALS)
      : undefined;
    approvals.set(name, {
      name,
      all: readQuorums(members.get('all'), [...path, 'all'], problems),
      distinct: flag('distinct'),
      excludeRequester: flag('excludeRequester'),
      ttl: members.has('ttl') ? readTtl(members.get('ttl'), [...path, 'ttl'], problems) : DAY,
      rejects: count ?? 1,
      ...(credential === undefined ? {} : { credential }),
    });
  }
  return approvals;
}

function readTtl(value: JsonValue | undefined, path: Path, problems: Problems): number {
  const ttl = readDuration(value, path, problems) ?? DAY;
  if (ttl > MAX_TTL)
    problems.add(path, 'is more than 30 days; write a shorter time, after which it is asked anew');
  return ttl;
}

function readQuorums(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): { readonly role: Role; readonly m: number }[] {
  if (value === undefined || !isList(value) || value.length === 0) {
    problems.add(path, 'must be a list of who has to consent; write [{ role: approver, m: 1 }]');
    return [];
  }
  const roles = new Set<Role>();
  return value.flatMap((item, index) => {
    const itemPath = [...path, index];
    const members = readMapping(item, itemPath, problems, ['role', 'm']);
    if (members === undefined) return [];
    const role = readApprovingRole(members.get('role'), [...itemPath, 'role'], problems);
    const m = readCount(members.get('m'), [...itemPath, 'm'], problems, { min: 1, max: MAX_APPROVERS });
    if (role === undefined || m === undefined) return [];
    if (roles.has(role))
      problems.add([...itemPath, 'role'], `"${role}" is in the list already; write one m for it`);
    roles.add(role);
    return [{ role, m }];
  });
}

function readApprovingRole(value: JsonValue | undefined, path: Path, problems: Problems): Role | undefined {
  const role = APPROVING.find((name) => name === value);
  if (role !== undefined) return role;
  const why = value === 'signer' || value === 'auditor' ? 'may not approve' : 'is not a role';
  problems.add(path, `${quote(value)} ${why}; write one of ${APPROVING.join(', ')}`);
  return undefined;
}

/** The approval that a name means. */
export function readApprovalName(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  approvals: ReadonlyMap<string, Approval>,
): Approval | undefined {
  return readReference(value, path, problems, approvals, 'approvals');
}

/**
 * The approval of what is stronger than any rule: breaking glass, and changing the document. Whoever asks never counts
 * there, and nobody counts twice.
 */
export function readStrictApprovalName(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  approvals: ReadonlyMap<string, Approval>,
): Approval | undefined {
  const approval = readApprovalName(value, path, problems, approvals);
  if (approval?.excludeRequester === false || approval?.distinct === false) {
    const message = `"${approval.name}" lets one person do what takes two; use an approval with excludeRequester: true and distinct: true`;
    problems.add(path, message);
  }
  return approval;
}
