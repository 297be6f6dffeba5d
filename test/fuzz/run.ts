import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { addonPath, makeLoadable } from './addon.ts';

/*
 * `npm run fuzz [-- TARGET…]`: each target for FUZZ_SECONDS (60), as many at once as there are cores. What is new goes
 * on from one run to the next in `findings/`, where also the inputs land that break something. Fails if there are any.
 */

const HERE = import.meta.dirname;
const FINDINGS = path.join(HERE, 'findings');
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 60);
/** Of one input, before it counts as a hang. */
const TIMEOUT_SECONDS = 5;
const MAX_BYTES = 4_096;

const [, , ...chosen] = process.argv;
const all = readdirSync(path.join(HERE, 'targets')).map((file) => path.basename(file, '.ts'));
const unknown = chosen.filter((name) => !all.includes(name));
if (unknown.length > 0) throw new Error(`no target ${unknown.join(', ')}; there are ${all.join(', ')}`);
if (!existsSync(path.join(HERE, 'node_modules')))
  throw new Error('the fuzzer is missing: npm ci --prefix test/fuzz');
makeLoadable(addonPath(import.meta.filename));

const waiting = chosen.length > 0 ? chosen : all;
const failed: string[] = [];
console.log('target        inputs      edges  features  corpus  MB   result');
await Promise.all(Array.from({ length: availableParallelism() }, worker));
if (failed.length > 0) {
  console.log(`\nbroken: ${failed.join(', ')}; see ${path.relative(process.cwd(), FINDINGS)}`);
  process.exit(1);
}

async function worker(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) await fuzz(name);
}

async function fuzz(name: string): Promise<void> {
  const own = path.join(FINDINGS, name);
  mkdirSync(path.join(own, 'corpus'), { recursive: true });
  const dictionary = path.join(HERE, 'dictionaries', `${name}.txt`);
  const options = [
    `-max_total_time=${SECONDS}`,
    `-timeout=${TIMEOUT_SECONDS}`,
    `-max_len=${MAX_BYTES}`,
    `-artifact_prefix=${own}/`,
    '-print_final_stats=1',
    ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
    path.join(own, 'corpus'),
    path.join(HERE, 'corpus', name),
  ];
  const log = path.join(own, 'log.txt');
  const code = await run([path.join(HERE, 'one.ts'), name, ...options], log);
  const output = readFileSync(log, 'latin1');
  if (code !== 0) failed.push(name);
  console.log(summaryOf(name, code, output));
}

/** Into a file: of a pipe that is full, libFuzzer loses what it writes. */
function run(args: readonly string[], log: string): Promise<number | null> {
  const file = openSync(log, 'w');
  return new Promise<number | null>((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', file, file] });
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => closeSync(file));
}

/** libFuzzer's last word on coverage, and its statistics. */
function summaryOf(name: string, code: number | null, output: string): string {
  const [, edges = '', features = '', corpus = ''] =
    [...output.matchAll(/cov: (\d+) ft: (\d+) corp: (\d+)/g)].at(-1) ?? [];
  const stat = (key: string): string => new RegExp(`stat::${key}:\\s*(\\d+)`).exec(output)?.[1] ?? '';
  const cells: [string, number][] = [
    [name, 12],
    [stat('number_of_executed_units'), 10],
    [edges, 9],
    [features, 8],
    [corpus, 6],
    [stat('peak_rss_mb'), 4],
  ];
  const row = cells.map(([text, width], index) => (index === 0 ? text.padEnd(width) : text.padStart(width)));
  return `${row.join('  ')}  ${code === 0 ? 'held' : `broken (exit ${code})`}`;
}
