import type { Metrics } from '../../src/metrics.ts';
import { accessRoutes } from '../../src/http/routes/access.ts';
import { auditStreamRoutes } from '../../src/http/routes/audit-stream.ts';
import { auditTreeRoutes } from '../../src/http/routes/audit-tree.ts';
import { auditRoutes } from '../../src/http/routes/audit.ts';
import { backupRoutes } from '../../src/http/routes/backup.ts';
import { keyStateRoutes } from '../../src/http/routes/key-states.ts';
import { keyExportRoutes } from '../../src/http/routes/key-export.ts';
import { keyImportRoutes } from '../../src/http/routes/key-import.ts';
import { keyRoutes } from '../../src/http/routes/keys.ts';
import { logKeyRoutes } from '../../src/http/routes/log-key.ts';
import { policyToolRoutes } from '../../src/http/routes/policy-tools.ts';
import { policyRoutes } from '../../src/http/routes/policy.ts';
import { proposalRoutes } from '../../src/http/routes/proposals.ts';
import { withReference } from '../../src/http/routes/reference.ts';
import { requestRoutes } from '../../src/http/routes/requests.ts';
import { sealRoutes } from '../../src/http/routes/seal.ts';
import { rotationRoutes } from '../../src/http/routes/rotations.ts';
import { secondFactorRoutes } from '../../src/http/routes/second-factor.ts';
import { signingRoutes } from '../../src/http/routes/signing.ts';
import { splitViewRoutes } from '../../src/http/routes/split-view.ts';
import { systemRoutes } from '../../src/http/routes/system.ts';
import type { Route } from '../../src/http/route.ts';
import type { Service } from '../../src/http/service.ts';

/** What is registered, to compare with; not to be run. */
export function allRoutes(): Route[] {
  const service = {} as Service;
  const metrics = {} as Metrics;
  const routes = [
    ...systemRoutes(service, metrics),
    ...sealRoutes(service),
    ...logKeyRoutes(service),
    ...backupRoutes(service),
    ...keyRoutes(service),
    ...keyImportRoutes(service),
    ...keyExportRoutes(service),
    ...keyStateRoutes(service),
    ...rotationRoutes({ rotations: {} } as Service),
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
  return withReference(routes, '0');
}

export const nameOf = ({ method, path }: { method: string; path: string }): string => `${method} ${path}`;
