import { applyLoad, type Load, type LoadResult } from './load.ts';
import type { BenchService, Cpu, Rss } from './service.ts';

export interface Measured extends LoadResult {
  /** CPU microseconds a signature. */
  readonly cpu: Cpu & { readonly client: number };
  readonly rss: Rss;
}

/** @param signatures in each request */
export async function measure(
  service: BenchService,
  load: Pick<Load, 'connections' | 'milliseconds' | 'next' | 'rate'>,
  signatures: number,
): Promise<Measured> {
  const before = service.cpu();
  const client = process.cpuUsage();
  const result = await applyLoad({ ...service, ...load });
  const after = service.cpu();
  const { user, system } = process.cpuUsage(client);
  const count = (result.statuses[200] ?? 0) * signatures;
  return {
    ...result,
    cpu: {
      main: (after.main - before.main) / count,
      others: (after.others - before.others) / count,
      signer: (after.signer - before.signer) / count,
      client: (user + system) / count,
    },
    rss: service.rss(),
  };
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function quantile(values: readonly number[], q: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * q)] ?? NaN;
}
