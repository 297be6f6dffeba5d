import type { Entry } from '../entry.ts';
import { reasonOf, severityOf, viewOf, type Activity, type Severity } from './kinds.ts';
import type { ReadEntry } from './read-entry.ts';
import { oneLineJson } from './text.ts';

/** Of the OCSF schema whose class API Activity (6003) this is. */
const OCSF_VERSION = '1.5.0';
const CLASS_UID = 6003;

const ACTIVITIES: { readonly [activity in Activity]: readonly [number, string] } = {
  create: [1, 'Create'],
  read: [2, 'Read'],
  update: [3, 'Update'],
  delete: [4, 'Delete'],
  other: [99, 'Other'],
};

const SEVERITIES: { readonly [severity in Severity]: string } = {
  1: 'Informational',
  2: 'Low',
  3: 'Medium',
  4: 'High',
  5: 'Critical',
};

const STATUSES: { readonly [outcome in Entry['outcome']]: readonly [number, string] } = {
  done: [1, 'Success'],
  pending: [99, 'Pending'],
  denied: [2, 'Failure'],
  refused: [2, 'Failure'],
  failed: [2, 'Failure'],
};

/** An event of the class API Activity of OCSF 1.5 (schema.ocsf.io); what the class has no place for is in `unmapped`. */
export function toOcsf({ index, leafHash, entry }: ReadEntry): string {
  const { kind, outcome, requestId, key, operation, elapsedUs, service } = entry;
  const { name, activity } = viewOf(entry);
  const [activityId, caption] = ACTIVITIES[activity];
  const severityId = severityOf(entry);
  const [statusId, status] = STATUSES[outcome];
  const reason = reasonOf(entry);
  const event = {
    activity_id: activityId,
    // Beside `Other` stands what it is in the words of the source.
    activity_name: activity === 'other' ? kind : caption,
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: CLASS_UID,
    class_name: 'API Activity',
    type_uid: CLASS_UID * 100 + activityId,
    type_name: `API Activity: ${caption}`,
    severity_id: severityId,
    severity: SEVERITIES[severityId],
    time: Date.parse(entry.time),
    status_id: statusId,
    status,
    status_code: outcome,
    status_detail: reason,
    message: `${name}: ${outcome}`,
    duration: elapsedUs === undefined ? undefined : Math.round(elapsedUs / 1000),
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'Countersign', vendor_name: 'Countersign', version: service.version },
      uid: leafHash,
      sequence: index,
      event_code: kind,
      log_name: 'audit',
      log_version: String(entry.v),
      correlation_uid: requestId,
    },
    actor: actorOf(entry),
    src_endpoint: sourceOf(entry),
    api: {
      operation: operation === undefined ? kind : `${kind}.${operation}`,
      request: requestId === undefined ? undefined : { uid: requestId },
      response: statusId === 2 ? { error: outcome, error_message: reason } : undefined,
      service: { name: 'countersign', uid: service.node },
      version: service.version,
    },
    resources:
      key === undefined
        ? undefined
        : [
            {
              name: key.name,
              uid: key.address,
              type: 'key',
              version: key.version === undefined ? undefined : String(key.version),
              labels: key.tags,
            },
          ],
    unmapped: restOf(entry),
  };
  return oneLineJson(JSON.stringify(event));
}

/** What the service does of itself has no user. */
function actorOf({ actor, decision }: Entry): object {
  const user =
    actor?.principal === undefined
      ? undefined
      : {
          name: actor.principal,
          uid: actor.principalId,
          credential_uid: actor.credential,
          groups: actor.roles?.map((role) => ({ name: role, type: 'role' })),
        };
  const authorizations =
    decision === undefined
      ? undefined
      : [
          {
            decision: decision.effect,
            policy: {
              name: decision.rule,
              uid: decision.policyHash,
              version: String(decision.policyRevision),
            },
          },
        ];
  return { user, app_name: user === undefined ? 'countersign' : undefined, authorizations };
}

function sourceOf({ actor, service }: Entry): object {
  if (actor?.address !== undefined) return { ip: actor.address };
  return { name: service.node, svc_name: 'countersign' };
}

function restOf({
  intent,
  digest,
  signature,
  transactionHash,
  decision,
  detail,
  actor,
  service,
}: Entry): object {
  return {
    intent,
    digest,
    signature,
    transactionHash,
    decision,
    detail,
    certificate: actor?.certificate,
    epoch: service.epoch,
  };
}
