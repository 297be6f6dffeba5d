import { allRoutes as registered } from '../../src/http/routes/all.ts';
import type { Route } from '../../src/http/route.ts';
import type { Service } from '../../src/http/service.ts';
import type { Metrics } from '../../src/metrics.ts';

/** What is registered, to compare with; not to be run. */
export function allRoutes(): Route[] {
  return registered({ version: '0', rotations: {} } as Service, {} as Metrics);
}

export const nameOf = ({ method, path }: { method: string; path: string }): string => `${method} ${path}`;
