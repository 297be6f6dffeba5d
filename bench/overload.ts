import { request } from 'node:http';
import { applyLoad, type LoadResult } from './load.ts';
import { transfer } from './requests.ts';
import { startBenchService } from './service.ts';

/**
 * What becomes of requests when more are asked than can be signed: `node bench/overload.ts [seconds]`. The capacity is
 * measured first, then requests come at half of it and at twice it, whatever becomes of those before them; meanwhile a
 * health and an admin route are asked ten times a second. Then it is at half again, at once; and at the end callers ask
 * again at once, whatever they are told.
 */
const PHASE_MS = Number(process.argv[2] ?? 10) * 1_000;
const PROBE_MS = 100;
const CONNECTIONS = 512;
/** With one caller each that does not heed `Retry-After`. */
const EAGER = 400;

const service = await startBenchService();
try {
  process.stderr.write('warming up\n');
  await applyLoad({ ...service, connections: 32, milliseconds: 12_000, next: transfer });
  const { rate: capacity } = await applyLoad({
    ...service,
    connections: 32,
    milliseconds: 5_000,
    next: transfer,
  });
  process.stdout.write(
    `capacity, 32 connections: ${capacity.toFixed(0)} signatures/s; client and service share the machine\n\n`,
  );
  process.stdout.write(
    line(['offered', 'signed/s', 'shed/s', 'p50 ms', 'p99 ms', 'health p99', 'admin p99']),
  );
  const phases = [0.5, 2, 0.5].map((times) => ({
    name: `${times} of it`,
    load: { connections: CONNECTIONS, rate: capacity * times },
  }));
  for (const { name, load } of [...phases, { name: `${EAGER} at once`, load: { connections: EAGER } }]) {
    const probing = new AbortController();
    const probes = [probe('/healthz', probing.signal), probe('/v1/keys', probing.signal)];
    const offered = await applyLoad({
      ...service,
      ...load,
      milliseconds: PHASE_MS,
      next: transfer,
    });
    probing.abort();
    const [health = NaN, admin = NaN] = await Promise.all(probes);
    process.stdout.write(line([name, ...cells(offered), health.toFixed(1), admin.toFixed(1)]));
    const odd = Object.keys(offered.statuses).filter((status) => status !== '200' && status !== '503');
    if (odd.length > 0) {
      process.stdout.write(`other answers: ${JSON.stringify(offered.statuses)}\n`);
      process.exitCode = 1;
    }
  }
} finally {
  await service.stop();
}

function cells({ rate, statuses, p50, p99 }: LoadResult): string[] {
  const shed = ((statuses[503] ?? 0) * 1_000) / PHASE_MS;
  return [rate.toFixed(0), shed.toFixed(0), p50.toFixed(1), p99.toFixed(1)];
}

/** The 99th percentile of the times that a route takes to answer. */
async function probe(path: string, signal: AbortSignal): Promise<number> {
  const times: number[] = [];
  while (!signal.aborted) {
    const start = performance.now();
    await get(path);
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, PROBE_MS));
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.99)] ?? NaN;
}

async function get(path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const { host, port, adminToken } = service;
    const headers = { authorization: `Bearer ${adminToken}` };
    request({ host, port, path, headers }, (answer) => {
      if (answer.statusCode !== 200) process.exitCode = 1;
      answer.resume().once('end', resolve);
    })
      .once('error', reject)
      .end();
  });
}

function line(cells: readonly string[]): string {
  return `${cells.map((cell) => cell.padStart(12)).join('')}\n`;
}
