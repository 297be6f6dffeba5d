import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { verifyLog, type VerifyOptions } from '../src/audit/verify/log.ts';
import { openLogReader } from '../src/storage/sqlite/log-reader.ts';
import { must, run, transfer } from '../test/http/running.ts';

/**
 * Entries a second that the verifier reads from a data directory, without the recovery of signatures and with it, on one
 * core: `node bench/verify.ts`, or `node bench/verify.ts --data DIR` for a log that is there. Without, the log is written by the real service, half of it signed transactions and half
 * signed messages.
 */
const ENTRIES = 30_000;
const BATCH = 1_000;
const ROUNDS = 15;

interface Figures {
  /** By the clock, and by the time that the process was given. */
  readonly wall: number;
  readonly cpu: number;
}

async function write(): Promise<{ readonly data: string; end(): Promise<void> }> {
  const service = await run();
  must(await service.admin.post('/v1/keys', { name: 'bench' }));
  for (let nonce = 0; nonce < ENTRIES; nonce += BATCH) {
    const items = Array.from({ length: BATCH }, (_, i) => ({
      key: 'bench',
      ...(i % 2 === 0
        ? { operation: 'transaction', ...transfer(nonce + i) }
        : { operation: 'message', message: `order ${nonce + i}` }),
    }));
    must(await service.signer.post('/v1/sign/batch', { items }));
  }
  await service.stop();
  return service;
}

async function measure(data: string, options: Partial<VerifyOptions>): Promise<Figures> {
  const log = openLogReader(data);
  try {
    const from = performance.now();
    const used = process.cpuUsage();
    const report = await verifyLog(log.source, { vkey: log.vkey ?? '', ...options });
    const { user, system } = process.cpuUsage(used);
    const ms = performance.now() - from;
    assert(report.ok);
    return { wall: report.size / (ms / 1e3), cpu: report.size / ((user + system) / 1e6) };
  } finally {
    log.close();
  }
}

/** Of an entry, on average. */
async function bytesOf(data: string): Promise<number> {
  const log = openLogReader(data);
  let bytes = 0;
  for await (const page of log.source.entries(0)) {
    for (const entry of page) bytes += entry.bytes.length;
  }
  log.close();
  return bytes / log.source.size;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

async function show(
  name: string,
  data: string,
  options: Partial<VerifyOptions>,
  rounds: number,
): Promise<void> {
  const figures: Figures[] = [];
  for (let round = 0; round < rounds; round++) figures.push(await measure(data, options));
  const bytes = await bytesOf(data);
  const line = (kind: 'wall' | 'cpu'): string => {
    const rate = median(figures.map((each) => each[kind]));
    return `${Math.round(rate)} entries/s, ${Math.round((rate * bytes) / 1e6)} MB/s by ${kind}`;
  };
  console.log(`${name}: ${line('wall')}; ${line('cpu')}; ${Math.round(bytes)} bytes an entry`);
}

const [flag, directory] = process.argv.slice(2);
if (flag === '--data' && directory !== undefined) {
  const before = process.memoryUsage().rss;
  await show('without recovery', directory, { checkSigned: false }, ROUNDS);
  console.log(`memory grew by ${Math.round((process.memoryUsage().rss - before) / 1e6)} MB meanwhile`);
  await show('with recovery', directory, {}, 3);
} else {
  const service = await write();
  // In a process of its own, as the command is.
  execFileSync(process.execPath, [import.meta.filename, '--data', service.data], { stdio: 'inherit' });
  await service.end();
}
