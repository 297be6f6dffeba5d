import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { rawSignatureRate } from './baseline.ts';
import { applyLoad, type LoadResult } from './load.ts';

/**
 * Signatures a second through HTTP with the audit log durable, beside the raw sign+recover rate of libsecp256k1 on one
 * core. The two are measured in turn, so that a machine that changes its speed changes both.
 */
const ROUNDS = 5;
const ROUND_MS = 3_000;
const CONNECTIONS = 32;
const BATCH_CONNECTIONS = 4;
const BATCH_ITEMS = 100;

interface Round {
  readonly raw: number;
  readonly single: LoadResult;
  readonly batch: LoadResult;
}

const ROOT = path.resolve(import.meta.dirname, '..');

const data = mkdtempSync(path.join(tmpdir(), 'countersign-bench-'));
const child = spawn(
  path.join(ROOT, 'bin/countersign'),
  ['start', '--data', data, '--listen', '127.0.0.1:0', '--log-level', 'warn'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);

try {
  const port = await new Promise<number>((resolve, reject) => {
    let text = '';
    child.once('exit', () => reject(new Error('the service ended at start')));
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const match = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(text);
      if (match?.[1] !== undefined) resolve(Number(match[1]));
    });
  });
  const token = readFileSync(path.join(data, 'demo.token'), 'utf8').trim();
  const service = { host: '127.0.0.1', port, token };

  let nonce = 0;
  const transaction = (): object => ({
    type: 2,
    chainId: 31337,
    nonce: nonce++,
    to: '0x1111111111111111111111111111111111111111',
    value: '1000000000000000',
    gasLimit: 21000,
    maxFeePerGas: '2000000000',
    maxPriorityFeePerGas: '1000000000',
  });
  const single = (milliseconds: number): Promise<LoadResult> =>
    applyLoad({
      ...service,
      milliseconds,
      connections: CONNECTIONS,
      next: () => ({
        path: '/v1/keys/demo/sign/transaction',
        body: JSON.stringify({ transaction: transaction() }),
      }),
    });
  const batch = (milliseconds: number): Promise<LoadResult> =>
    applyLoad({
      ...service,
      milliseconds,
      connections: BATCH_CONNECTIONS,
      next: () => {
        const items = Array.from({ length: BATCH_ITEMS }, () => ({
          key: 'demo',
          operation: 'transaction',
          transaction: transaction(),
        }));
        return { path: '/v1/sign/batch', body: JSON.stringify({ items }) };
      },
    });

  process.stderr.write('warming up\n');
  rawSignatureRate(500);
  await single(2_000);
  await batch(1_000);

  const rounds: Round[] = [];
  for (let i = 1; i <= ROUNDS; i++) {
    process.stderr.write(`round ${i} of ${ROUNDS}\n`);
    rounds.push({
      raw: rawSignatureRate(1_500),
      single: await single(ROUND_MS),
      batch: await batch(ROUND_MS),
    });
  }
  report(rounds);
} finally {
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
  rmSync(data, { recursive: true });
}

function report(rounds: readonly Round[]): void {
  const raw = median(rounds.map((round) => round.raw));
  const rows = [
    { name: 'raw sign+recover, one core', rate: raw, ratio: 1, p50: undefined, p99: undefined },
    row(`HTTP, ${CONNECTIONS} connections`, rounds, (round) => round.single, 1),
    row(
      `HTTP batch of ${BATCH_ITEMS}, ${BATCH_CONNECTIONS} connections`,
      rounds,
      (round) => round.batch,
      BATCH_ITEMS,
    ),
  ];
  const failures = rounds.reduce((sum, { single, batch }) => sum + single.failures + batch.failures, 0);
  const model = cpus()[0]?.model ?? 'unknown processor';
  process.stdout.write(
    `${model}, ${cpus().length} cores, Node ${process.version}; medians of ${rounds.length} rounds\n\n`,
  );
  process.stdout.write(
    `${'what'.padEnd(40)}${'signatures/s'.padStart(14)}${'ratio'.padStart(8)}${'p50 ms'.padStart(9)}${'p99 ms'.padStart(9)}\n`,
  );
  for (const { name, rate, ratio, p50, p99 } of rows) {
    const cells = [rate.toFixed(0).padStart(14), ratio.toFixed(2).padStart(8), fixed(p50), fixed(p99)];
    process.stdout.write(`${name.padEnd(40)}${cells.join('')}\n`);
  }
  process.stdout.write(`\nrequests that failed: ${failures}\n`);
  mkdirSync(path.join(import.meta.dirname, 'results'), { recursive: true });
  const file = path.join(import.meta.dirname, 'results', 'latest.json');
  writeFileSync(file, `${JSON.stringify({ node: process.version, model, rows, rounds }, null, 2)}\n`);
  if (failures > 0) process.exitCode = 1;
}

function row(
  name: string,
  rounds: readonly Round[],
  pick: (round: Round) => LoadResult,
  signatures: number,
): { name: string; rate: number; ratio: number; p50: number; p99: number } {
  return {
    name,
    rate: median(rounds.map((round) => pick(round).rate * signatures)),
    ratio: median(rounds.map((round) => (pick(round).rate * signatures) / round.raw)),
    p50: median(rounds.map((round) => pick(round).p50)),
    p99: median(rounds.map((round) => pick(round).p99)),
  };
}

function fixed(value: number | undefined): string {
  return (value === undefined ? '' : value.toFixed(2)).padStart(9);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
