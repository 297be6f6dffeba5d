import { loadConfig, type Flags } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startService } from '../../src/main.ts';

/**
 * The real service as `countersign start` runs it, whose clock can be moved, and which kills itself at a point:
 * argv has JSON `{"point": {"kind", "when", "nth"}, "clockMs"}`, then `--data`, `--listen`, `--log-level` and so on.
 */

interface Orders {
  readonly point?: { readonly kind: string; readonly when: 'before' | 'after'; readonly nth: number };
  readonly clockMs: number;
}

const [orders = '{}', ...args] = process.argv.slice(2);
const { point, clockMs } = JSON.parse(orders) as Orders;

let ahead = clockMs;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...given: [] | [number | string | Date]) {
    if (given.length === 0) super(RealDate.now() + ahead);
    else super(...given);
  }

  static override now(): number {
    return RealDate.now() + ahead;
  }
} as DateConstructor;

process.on('message', ({ clockMs: ms }: Orders) => {
  ahead = ms;
  process.send?.('moved');
});
// The channel alone must not keep it running.
process.channel?.unref();

let left = point?.nth ?? 0;
const service = await startService(loadConfig(flagsOf(args), {}), createLog('error', process.stderr), {
  probe: (kind, when) => {
    if (kind !== point?.kind || when !== point.when) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  },
});
process.stdout.write(`countersign listens on ${service.url}\n`);
process.once('SIGTERM', () => void service.stop());

/** `--log-level error` → `{ logLevel: 'error' }` */
function flagsOf(words: readonly string[]): Flags {
  const pairs: [string, string][] = [];
  for (let at = 0; at + 1 < words.length; at += 2) {
    const name = words[at]!.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    pairs.push([name, words[at + 1]!]);
  }
  return Object.fromEntries(pairs);
}
