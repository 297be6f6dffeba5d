import { rmSync } from 'node:fs';
import { fill, type Filled } from './fill.ts';
import { applyLoad } from './load.ts';
import { measure, median, quantile, type Measured } from './measure.ts';
import { batchOfTransfers, transfer } from './requests.ts';
import {
  installPackage,
  makeData,
  removeData,
  startBenchService,
  type BenchService,
  type Rss,
} from './service.ts';

const ROUND_MS = 2_000;
/** Before each round: who rested has its caches to fill first. */
const SETTLE_MS = 300;
const WARM_MS = 20_000;
const FULL_MS = 8_000;
const CONNECTIONS = 32;

interface Pair<T> {
  readonly empty: T;
  readonly grown: T;
}

export interface Growth extends Filled {
  readonly rounds: readonly Pair<Measured>[];
  /** CPU microseconds a signature, of API and signer process together. */
  readonly cpu: Pair<number>;
  /** Of that, grown to empty; the median of all rounds, as are those below. */
  readonly ratio: number;
  readonly quartiles: readonly [number, number];
  readonly rateRatio: number;
  readonly p99Ratio: number;
  /** After a load of batches. */
  readonly rss: Pair<Rss>;
}

/**
 * Whether a signature costs the same with many keys and entries as with one key and hardly any: two services, each asked
 * for signatures while the other rests, in turn, so that what else the machine does is done to both. Filling takes
 * minutes.
 */
export async function measureGrowth(filled: Filled, count: number): Promise<Growth> {
  const installed = installPackage();
  const data = { empty: makeData(), grown: makeData() };
  const running: BenchService[] = [];
  const start = async (directory: string): Promise<BenchService> => {
    const service = await startBenchService({ data: directory, installed });
    running.push(service);
    return service;
  };
  try {
    // It makes its database and its first key itself.
    const first = await startBenchService({ data: data.grown, installed });
    await first.stop();
    process.stderr.write(`writing ${filled.keys} keys and ${filled.entries} entries\n`);
    await fill(data.grown, 1, filled);
    const empty = await start(data.empty);
    const grown = await start(data.grown);
    for (const service of running) await sign(service, WARM_MS);

    const rounds: Pair<Measured>[] = [];
    for (let i = 1; i <= count; i++) {
      process.stderr.write(`round ${i} of ${count}, empty and grown\n`);
      // Whoever comes first comes second the next time.
      const first = i % 2 === 0 ? await round(grown) : undefined;
      const other = await round(empty);
      rounds.push({ empty: other, grown: first ?? (await round(grown)) });
    }
    for (const service of running)
      await applyLoad({ ...service, connections: 4, milliseconds: FULL_MS, next: batchOfTransfers });
    const of = (read: (round: Pair<Measured>) => number): number => median(rounds.map(read));
    const ratios = rounds.map((round) => cpuOf(round.grown) / cpuOf(round.empty));
    return {
      ...filled,
      rounds,
      cpu: { empty: of((round) => cpuOf(round.empty)), grown: of((round) => cpuOf(round.grown)) },
      ratio: median(ratios),
      quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
      rateRatio: of((round) => round.grown.rate / round.empty.rate),
      p99Ratio: of((round) => round.grown.p99 / round.empty.p99),
      rss: { empty: empty.rss(), grown: grown.rss() },
    };
  } finally {
    for (const service of running) await service.stop();
    for (const directory of Object.values(data)) removeData(directory);
    rmSync(installed, { recursive: true });
  }
}

export function growthToText(growth: Growth): string {
  const { keys, entries, rounds, cpu, ratio, quartiles, rateRatio, p99Ratio, rss } = growth;
  const spread = quartiles.map((quartile) => quartile.toFixed(3)).join(' to ');
  return [
    `${keys} keys and ${entries} entries beside one key and none, medians of ${rounds.length} rounds in turn:`,
    `CPU ${cpu.grown.toFixed(0)} and ${cpu.empty.toFixed(0)} µs a signature, ratio ${ratio.toFixed(3)} (quartiles ${spread}); ` +
      `signatures/s ${rateRatio.toFixed(3)}, p99 ${p99Ratio.toFixed(3)} of empty`,
    `MB after batches, API and signer process: ${rssToText(rss.grown)} and ${rssToText(rss.empty)}`,
    '',
  ].join('\n');
}

async function round(service: BenchService): Promise<Measured> {
  await sign(service, SETTLE_MS);
  return await sign(service, ROUND_MS);
}

async function sign(service: BenchService, milliseconds: number): Promise<Measured> {
  const result = await measure(service, { connections: CONNECTIONS, milliseconds, next: transfer }, 1);
  if (result.failures > 0) throw new Error(`refused: ${JSON.stringify(result.statuses)}`);
  return result;
}

function cpuOf({ cpu }: Measured): number {
  return cpu.main + cpu.others + cpu.signer;
}

function rssToText({ api, signer }: Rss): string {
  return `${api.toFixed(0)} + ${signer.toFixed(0)}`;
}
