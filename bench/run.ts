import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { rawSignatureRate } from './baseline.ts';
import { growthToText, measureGrowth, type Growth } from './grown.ts';
import { applyLoad } from './load.ts';
import { measure, median, type Measured } from './measure.ts';
import { BATCH_ITEMS, batchOfTransfers, transfer } from './requests.ts';
import { startBenchService } from './service.ts';

/**
 * Signatures a second through HTTP, each decided by a policy of 50 rules with limits, logged and on disk before it is
 * answered, beside the rate of libsecp256k1's sign and recover alone on one core. They are measured in turn, so that a
 * machine that changes its speed changes all. Then whether a signature costs more when there are many keys and entries.
 * `npm run bench -- [--only single|batch|grown] [--rounds 5] [--keys 100000] [--entries 1000000]`.
 */
const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    keys: { type: 'string', default: '100000' },
    entries: { type: 'string', default: '1000000' },
  },
});
const PARTS = ['single', 'batch', 'grown'] as const;
type Part = (typeof PARTS)[number];
if (options.only !== undefined && !PARTS.some((part) => part === options.only))
  throw new Error(`--only takes one of ${PARTS.join(', ')}`);
const isWanted = (part: Part): boolean => (options.only ?? part) === part;

const ROUNDS = Number(options.rounds);
/** These are short, and what they tell apart is small. */
const GROWN_ROUNDS = 8 * ROUNDS;
const ROUND_MS = 4_000;
/** So long it takes until nothing is compiled any more. */
const WARM_MS = 12_000;
const CONNECTIONS = 32;
const BATCH_CONNECTIONS = 4;

interface Round {
  readonly raw: number;
  readonly single?: Measured;
  /** At half the rate of `single`. */
  readonly half?: Measured;
  readonly batch?: Measured;
}

const rounds = isWanted('single') || isWanted('batch') ? await measureRates() : [];
const grown = isWanted('grown')
  ? await measureGrowth({ keys: Number(options.keys), entries: Number(options.entries) }, GROWN_ROUNDS)
  : undefined;
report(rounds, grown);

async function measureRates(): Promise<Round[]> {
  const service = await startBenchService();
  try {
    process.stderr.write('warming up\n');
    rawSignatureRate(500);
    const first = await applyLoad({ ...service, connections: 1, milliseconds: 50, next: transfer });
    if (first.failures > 0)
      throw new Error(`what is to be measured is refused: ${JSON.stringify(first.statuses)}`);
    const http = { connections: CONNECTIONS, milliseconds: ROUND_MS, next: transfer };
    const batches = { connections: BATCH_CONNECTIONS, milliseconds: ROUND_MS, next: batchOfTransfers };
    await applyLoad({ ...service, ...http, milliseconds: WARM_MS });
    await applyLoad({ ...service, ...batches, milliseconds: WARM_MS / 3 });

    const rounds: Round[] = [];
    for (let i = 1; i <= ROUNDS; i++) {
      process.stderr.write(`round ${i} of ${ROUNDS}\n`);
      const raw = rawSignatureRate(1_500);
      const single = isWanted('single') ? await measure(service, http, 1) : undefined;
      rounds.push({
        raw,
        ...(single !== undefined && {
          single,
          half: await measure(service, { ...http, connections: 4 * CONNECTIONS, rate: single.rate / 2 }, 1),
        }),
        ...(isWanted('batch') && { batch: await measure(service, batches, BATCH_ITEMS) }),
      });
    }
    return rounds;
  } finally {
    await service.stop();
  }
}

function report(rounds: readonly Round[], grown: Growth | undefined): void {
  const rows = rowsOf(rounds);
  const failures = rounds
    .flatMap(({ single, half, batch }) => [single, half, batch])
    .reduce((sum, measured) => sum + (measured?.failures ?? 0), 0);
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
    ...rows.map(({ name, rate, ratio, cells }) => line([name, rate.toFixed(0), ratio.toFixed(2), ...cells])),
    '',
    `requests that failed: ${failures}`,
    '',
  ];
  if (rounds.length > 0) process.stdout.write(lines.join('\n'));
  if (grown !== undefined) process.stdout.write(`\n${growthToText(grown)}`);
  mkdirSync(path.join(import.meta.dirname, 'results'), { recursive: true });
  const file = path.join(import.meta.dirname, 'results', 'latest.json');
  const result = { node: process.version, model, rows, rounds, ...(grown !== undefined && { grown }) };
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  if (failures > 0) process.exitCode = 1;
}

function rowsOf(rounds: readonly Round[]): Row[] {
  if (rounds.length === 0) return [];
  const raw = median(rounds.map((round) => round.raw));
  return [
    { name: 'raw sign+recover, one core', rate: raw, ratio: 1, cells: [] },
    ...row(`HTTP, ${CONNECTIONS} connections`, rounds, 'single', 1),
    ...row('the same at half of that rate', rounds, 'half', 1),
    ...row(`batches of ${BATCH_ITEMS}, ${BATCH_CONNECTIONS} connections`, rounds, 'batch', BATCH_ITEMS),
  ];
}

interface Row {
  readonly name: string;
  readonly rate: number;
  readonly ratio: number;
  readonly cells: readonly string[];
}

function row(
  name: string,
  rounds: readonly Round[],
  part: Exclude<keyof Round, 'raw'>,
  signatures: number,
): Row[] {
  const measured = rounds.flatMap(({ raw, [part]: one }) => (one === undefined ? [] : [{ ...one, raw }]));
  if (measured.length === 0) return [];
  const of = (read: (each: Measured) => number): number => median(measured.map(read));
  return [
    {
      name,
      rate: of(({ rate }) => rate * signatures),
      ratio: median(measured.map(({ rate, raw }) => (rate * signatures) / raw)),
      cells: [
        of(({ p50 }) => p50).toFixed(2),
        of(({ p99 }) => p99).toFixed(2),
        of(({ cpu }) => cpu.main).toFixed(0),
        of(({ cpu }) => cpu.others).toFixed(0),
        of(({ cpu }) => cpu.signer).toFixed(0),
        of(({ cpu }) => cpu.client).toFixed(0),
        of(({ rss }) => rss.api + rss.signer).toFixed(0),
      ],
    },
  ];
}

function line([name = '', ...cells]: readonly string[]): string {
  return `${name.padEnd(36)}${cells.map((cell) => cell.padStart(cell.length > 9 ? 14 : 10)).join('')}`;
}
