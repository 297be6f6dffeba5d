import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { applyLoad } from './load.ts';
import { transfer } from './requests.ts';
import { startBenchService } from './service.ts';

/**
 * Whether anything grows: `npm run soak -- [minutes] [signatures a second]`, 60 and 300 by default. Signs at a steady
 * rate; every minute a key is rotated, every fifth the service is sealed and unsealed. Every ten seconds it is looked
 * at; at the end the medians of the second and of the last quarter are compared, as the first still warms up.
 */
const MINUTES = Number(process.argv[2] ?? 60);
const RATE = Number(process.argv[3] ?? 300);
const SAMPLE_MS = 10_000;
/** Until the service has noticed that the connections of the load are closed. */
const CLOSED_MS = 1_000;
const SAMPLES_A_MINUTE = 60_000 / SAMPLE_MS;
const SEAL_EVERY = 5;

/** What may be more at the end: a share of what it was, and so much beside that is noise. */
const MAY_GROW = {
  'API MB': { share: 0.1, spare: 8 },
  'signer MB': { share: 0.1, spare: 8 },
  'heap MB': { share: 0.25, spare: 16 },
  descriptors: { share: 0, spare: 8 },
  'WAL MB': { share: 0.5, spare: 16 },
  'p50 ms': { share: 0.5, spare: 2 },
  'p99 ms': { share: 1, spare: 20 },
} as const;
type Name = keyof typeof MAY_GROW;
type Sample = Readonly<Record<Name, number>>;
const NAMES = Object.keys(MAY_GROW) as Name[];

const service = await startBenchService();
const base = `http://${service.host}:${service.port}`;
const samples: Sample[] = [];
const statuses: Record<string, number> = {};
try {
  const operator = await newOperator();
  await call('/v1/keys', { name: 'rotated' });
  process.stdout.write(line(['minute', ...NAMES]));
  for (let i = 1; i <= MINUTES * SAMPLES_A_MINUTE; i++) {
    const result = await applyLoad({
      ...service,
      connections: 1,
      milliseconds: SAMPLE_MS - CLOSED_MS,
      next: transfer,
      rate: RATE,
    });
    for (const [status, count] of Object.entries(result.statuses))
      statuses[status] = (statuses[status] ?? 0) + count;
    const sample = await look(result);
    samples.push(sample);
    process.stdout.write(
      line([(i / SAMPLES_A_MINUTE).toFixed(1), ...NAMES.map((name) => sample[name].toFixed(1))]),
    );
    if (i % SAMPLES_A_MINUTE === 0)
      await call('/v1/keys/rotated/rotations', { mode: 'emergency', reason: 'soak' });
    if (i % (SAMPLES_A_MINUTE * SEAL_EVERY) === 0) {
      await call('/v1/sys/seal', {}, operator);
      await call('/v1/sys/unseal', {}, operator);
    }
  }
  report();
} finally {
  await service.stop();
}

async function look({ p50, p99 }: { readonly p50: number; readonly p99: number }): Promise<Sample> {
  await new Promise((resolve) => setTimeout(resolve, CLOSED_MS));
  const text = await (await fetch(`${base}/metrics`)).text();
  const metric = (name: string): number =>
    Number(new RegExp(`^countersign_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  const { api, signer } = service.rss();
  const wal = readdirSync(service.data)
    .filter((file) => file.endsWith('-wal'))
    .reduce((sum, file) => sum + statSync(path.join(service.data, file)).size, 0);
  return {
    'API MB': api,
    'signer MB': signer,
    'heap MB': metric('nodejs_heap_size_used_bytes') / 2 ** 20,
    descriptors: metric('process_open_fds'),
    'WAL MB': wal / 2 ** 20,
    'p50 ms': p50,
    'p99 ms': p99,
  };
}

function report(): void {
  const quarter = Math.floor(samples.length / 4);
  const [early, late] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)];
  process.stdout.write('\n');
  for (const name of NAMES) {
    const [before, after] = [
      median(early.map((sample) => sample[name])),
      median(late.map((sample) => sample[name])),
    ];
    const { share, spare } = MAY_GROW[name];
    // What is not a number is not known to be flat.
    const isFlat = after <= before * (1 + share) + spare;
    if (!isFlat) process.exitCode = 1;
    process.stdout.write(line([name, before.toFixed(1), after.toFixed(1), isFlat ? 'flat' : 'GREW']));
  }
  process.stdout.write(`answers by status: ${JSON.stringify(statuses)}\n`);
  if (Object.keys(statuses).some((status) => status !== '200')) process.exitCode = 1;
}

async function newOperator(): Promise<string> {
  const { id } = await call<{ id: string }>('/v1/principals', { name: 'soak', roles: ['operator'] });
  return (await call<{ token: string }>(`/v1/principals/${id}/credentials`, {})).token;
}

async function call<T>(route: string, body: object, token = service.adminToken): Promise<T> {
  const answer = await fetch(base + route, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${route}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function line(cells: readonly string[]): string {
  return `${cells.map((cell) => cell.padStart(13)).join('')}\n`;
}
