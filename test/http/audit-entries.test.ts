import { expect, it } from 'vitest';
import { auditRoutes } from '../../src/http/routes/audit.ts';
import type { RouteContext } from '../../src/http/route.ts';
import type { Service } from '../../src/http/service.ts';

const ENTRY = { index: 0, leafHash: Buffer.alloc(32), bytes: Buffer.from('{"kind":"sign"}') };

it.each([
  ['/v1/audit/entries', {}, {}],
  ['/v1/audit/entries/{index}', { index: '0' }, {}],
])(
  '%s waits for the commit that is being flushed: a status may tell of it already',
  async (path, params, query) => {
    const flush = Promise.withResolvers<void>();
    let onDisk = false;
    const service = {
      log: { settled: () => flush.promise },
      reads: { entries: () => (onDisk ? [ENTRY] : []), entry: () => (onDisk ? ENTRY : undefined) },
    } as unknown as Service;
    const route = auditRoutes(service).find((each) => each.path === path)!;
    const answered = route.run({ params, query, body: undefined }, {} as RouteContext);
    await new Promise((resolve) => setImmediate(resolve));
    onDisk = true;
    flush.resolve();
    expect(JSON.stringify((await answered).body)).toContain('"kind":"sign"');
  },
);
