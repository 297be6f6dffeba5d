import type { Metrics } from '../../metrics.ts';
import type { Route } from '../route.ts';
import type { Service } from '../service.ts';
import { accessRoutes } from './access.ts';
import { auditStreamRoutes } from './audit-stream.ts';
import { auditTreeRoutes } from './audit-tree.ts';
import { auditRoutes } from './audit.ts';
import { backupRoutes } from './backup.ts';
import { keyExportRoutes } from './key-export.ts';
import { keyImportRoutes } from './key-import.ts';
import { keyStateRoutes } from './key-states.ts';
import { keyRoutes } from './keys.ts';
import { logKeyRoutes } from './log-key.ts';
import { policyToolRoutes } from './policy-tools.ts';
import { policyRoutes } from './policy.ts';
import { proposalRoutes } from './proposals.ts';
import { withReference } from './reference.ts';
import { requestRoutes } from './requests.ts';
import { rotationRoutes } from './rotations.ts';
import { sealRoutes } from './seal.ts';
import { secondFactorRoutes } from './second-factor.ts';
import { signingRoutes } from './signing.ts';
import { splitViewRoutes } from './split-view.ts';
import { systemRoutes } from './system.ts';

/** Every route of the service, and with them the pages that describe them. */
export function allRoutes(service: Service, metrics: Metrics): Route[] {
  const routes = [
    ...systemRoutes(service, metrics),
    ...sealRoutes(service),
    ...logKeyRoutes(service),
    ...backupRoutes(service),
    ...keyRoutes(service),
    ...keyImportRoutes(service),
    ...keyExportRoutes(service),
    ...keyStateRoutes(service),
    ...rotationRoutes(service),
    ...signingRoutes(service, metrics),
    ...requestRoutes(service),
    ...policyRoutes(service),
    ...policyToolRoutes(service),
    ...proposalRoutes(service),
    ...accessRoutes(service),
    ...secondFactorRoutes(service),
    ...auditRoutes(service),
    ...auditTreeRoutes(service),
    ...splitViewRoutes(service),
    ...auditStreamRoutes(service),
  ];
  return withReference(routes, service.version);
}
