import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf, startService, untilGone, type RunningService, type StartOptions } from '../service.ts';

/** Services that die of SIGKILL at a named point, to be started again on what they left on the disk. */

/** Around the commit of the `nth` entry of a kind: nothing of it is on disk, or all of it is and nobody was told. */
export interface Point {
  readonly kind: string;
  readonly when: 'before' | 'after';
  /** From 1, counted from the start of the process; 1 when absent. */
  readonly nth?: number;
}

export type ClockOptions = Omit<StartOptions, 'program'> & {
  /** How far its clock is ahead of the true one, in ms. */
  readonly clockMs?: number;
};

export interface ClockedService extends RunningService {
  /** Sets how far its clock is ahead of the true one. Timers go by the true one. */
  setClock(aheadMs: number): Promise<void>;
}

const CHILD = path.resolve(import.meta.dirname, 'crash-child.ts');
const DIES_MS = 20_000;
/** Between the break of a connection and the end of the process. */
const BROKEN_MS = 2_000;
const SIGNER_GONE_MS = 5_000;

/** Both points of the commit of an entry of each kind. */
export function aroundEach(kinds: readonly string[]): Point[] {
  return kinds.flatMap((kind) => [
    { kind, when: 'before' as const },
    { kind, when: 'after' as const },
  ]);
}

/** The service with a clock that the test moves, and no point at which it dies. */
export async function startClocked(options: ClockOptions = {}): Promise<ClockedService> {
  return clocked(await startService({ ...options, program: programOf(options) }));
}

/**
 * Starts a service that dies at `point`, and does `work` with it, whose broken connections are expected. Resolves
 * when both of its processes are gone. Throws when it dies of something else, or not at all. Where the point is in
 * the start itself (what is resumed there), `work` is not done.
 */
export async function crashAt(
  point: Point,
  options: ClockOptions & { readonly data: string },
  work: (service: ClockedService) => Promise<unknown>,
): Promise<void> {
  let service: RunningService;
  try {
    service = await startService({ ...options, program: programOf(options, point) });
  } catch (error) {
    if (error instanceof Error && error.message.includes('did not start: signal SIGKILL')) return;
    throw error;
  }
  const processes = [service.pid, ...childrenOf(service.pid)];
  let failure: Error | undefined;
  const working = work(clocked(service)).then(
    () => sleep(DIES_MS),
    async (error: unknown) => {
      failure = error instanceof Error ? error : new Error(String(error));
      await sleep(BROKEN_MS);
    },
  );
  const ending = await Promise.race([service.ended, working]);
  if (typeof ending !== 'string') {
    await service.kill();
    throw failure ?? new Error(`the service lived on: no ${point.when} ${point.kind}`);
  }
  if (ending !== 'signal SIGKILL') throw new Error(`the service ended with ${ending}: ${service.stderr()}`);
  const gone = await Promise.all(processes.map(async (each) => await untilGone(each, SIGNER_GONE_MS)));
  if (gone.includes(false)) throw new Error('a process of the killed service lives on');
}

function programOf({ clockMs = 0 }: ClockOptions, point?: Point): [string, ...string[]] {
  const orders = { clockMs, ...(point !== undefined && { point: { nth: 1, ...point } }) };
  return [
    process.execPath,
    '--disable-sigusr1',
    '--disable-warning=ExperimentalWarning',
    CHILD,
    JSON.stringify(orders),
  ];
}

function clocked(service: RunningService): ClockedService {
  // Not spread: it has getters.
  return Object.assign(service, {
    setClock: async (aheadMs: number): Promise<void> => await service.tell({ clockMs: aheadMs }),
  });
}
