import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { rawSignatureRate } from './baseline.ts';
import { applyLoad, type LoadResult } from './load.ts';
import { BATCH_ITEMS, batchOfTransfers, transfer } from './requests.ts';
import { startBenchService, type Cpu, type Rss } from './service.ts';

/**
 * Signatures a second through HTTP, each decided by a policy of 50 rules with limits, logged and on disk before it is
 * answered, beside the rate of libsecp256k1's sign and recover alone on one core. They are measured in turn, so that a
 * machine that changes its speed changes all. `node bench/run.ts [rounds]`.
 */
const ROUNDS = Number(process.argv[2] ?? 5);
const ROUND_MS = 4_000;
/** So long it takes until nothing is compiled any more. */
const WARM_MS = 12_000;
const CONNECTIONS = 32;
const BATCH_CONNECTIONS = 4;

interface Measured extends LoadResult {
  /** CPU microseconds a signature. */
  readonly cpu: Cpu & { readonly client: number };
  readonly rss: Rss;
}

interface Round {
  readonly raw: number;
  readonly single: Measured;
  readonly half: Measured;
  readonly batch: Measured;
}

const service = await startBenchService();
try {
  process.stderr.write('warming up\n');
  rawSignatureRate(500);
  const first = await applyLoad({ ...service, connections: 1, milliseconds: 50, next: transfer });
  if (first.failures > 0)
    throw new Error(`what is to be measured is refused: ${JSON.stringify(first.statuses)}`);
  await applyLoad({ ...service, connections: CONNECTIONS, milliseconds: WARM_MS, next: transfer });
  await applyLoad({
    ...service,
    connections: BATCH_CONNECTIONS,
    milliseconds: WARM_MS / 3,
    next: batchOfTransfers,
  });

  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS; i++) {
    process.stderr.write(`round ${i} of ${ROUNDS}\n`);
    const raw = rawSignatureRate(1_500);
    const single = await measure(CONNECTIONS, transfer, 1);
    rounds.push({
      raw,
      single,
      half: await measure(4 * CONNECTIONS, transfer, 1, single.rate / 2),
      batch: await measure(BATCH_CONNECTIONS, batchOfTransfers, BATCH_ITEMS),
    });
  }
  report(rounds);
} finally {
  await service.stop();
}

async function measure(
  connections: number,
  next: typeof transfer,
  signatures: number,
  rate?: number,
): Promise<Measured> {
  const before = service.cpu();
  const client = process.cpuUsage();
  const load = { ...service, connections, milliseconds: ROUND_MS, next, ...(rate !== undefined && { rate }) };
  const result = await applyLoad(load);
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

function report(rounds: readonly Round[]): void {
  const raw = median(rounds.map((round) => round.raw));
  const rows = [
    { name: 'raw sign+recover, one core', rate: raw, ratio: 1 },
    row(`HTTP, ${CONNECTIONS} connections`, rounds, (round) => round.single, 1),
    row('the same at half of that rate', rounds, (round) => round.half, 1),
    row(
      `batches of ${BATCH_ITEMS}, ${BATCH_CONNECTIONS} connections`,
      rounds,
      (round) => round.batch,
      BATCH_ITEMS,
    ),
  ];
  const failures = rounds
    .flatMap(({ single, half, batch }) => [single, half, batch])
    .reduce((sum, { failures }) => sum + failures, 0);
  const model = cpus()[0]?.model ?? 'unknown processor';
  const lines = [
    `${model}, ${cpus().length} cores, Node ${process.version}; medians of ${rounds.length} rounds; CPU in µs a signature`,
    '',
    line([
      'what',
      'signatures/s',
      'ratio',
      'p50 ms',
      'p99 ms',
      'API main',
      'threads',
      'signer',
      'client',
      'MB',
    ]),
    ...rows.map(({ name, rate, ratio, ...more }) =>
      line([name, rate.toFixed(0), ratio.toFixed(2), ...('cells' in more ? more.cells : [])]),
    ),
    '',
    `requests that failed: ${failures}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  mkdirSync(path.join(import.meta.dirname, 'results'), { recursive: true });
  const file = path.join(import.meta.dirname, 'results', 'latest.json');
  writeFileSync(file, `${JSON.stringify({ node: process.version, model, rows, rounds }, null, 2)}\n`);
  if (failures > 0) process.exitCode = 1;
}

function row(
  name: string,
  rounds: readonly Round[],
  pick: (round: Round) => Measured,
  signatures: number,
): { name: string; rate: number; ratio: number; cells: string[] } {
  const of = (read: (measured: Measured) => number): number =>
    median(rounds.map((round) => read(pick(round))));
  return {
    name,
    rate: of(({ rate }) => rate * signatures),
    ratio: median(rounds.map((round) => (pick(round).rate * signatures) / round.raw)),
    cells: [
      of(({ p50 }) => p50).toFixed(2),
      of(({ p99 }) => p99).toFixed(2),
      of(({ cpu }) => cpu.main).toFixed(0),
      of(({ cpu }) => cpu.others).toFixed(0),
      of(({ cpu }) => cpu.signer).toFixed(0),
      of(({ cpu }) => cpu.client).toFixed(0),
      of(({ rss }) => rss.api + rss.signer).toFixed(0),
    ],
  };
}

function line([name = '', ...cells]: readonly string[]): string {
  return `${name.padEnd(36)}${cells.map((cell) => cell.padStart(cell.length > 9 ? 14 : 10)).join('')}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
