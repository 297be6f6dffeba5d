import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { startWitness, type TestWitness } from '../audit/witness/witness-server.ts';
import { expectStatus, makeDirectory, startService, type RunningService } from '../service.ts';

/** The real service with the witnesses of tests. */
export interface Witnessed {
  readonly data: string;
  readonly witnesses: readonly TestWitness[];
  /** The log's key. */
  readonly vkey: string;
  /** Starts the service on the directory. */
  readonly start: () => Promise<RunningService>;
}

export interface WitnessedOptions {
  readonly count: number;
  readonly quorum: number;
  readonly mode?: 'async' | 'strict';
  readonly timeoutMs?: number;
  readonly policy?: string;
  readonly anchors?: object;
}

/** A data directory that was started once, witnesses that know its log, and a configuration that names them. */
export async function makeWitnessed(options: WitnessedOptions): Promise<Witnessed> {
  const { count, quorum, mode, timeoutMs, policy, anchors } = options;
  const data = makeDirectory();
  const first = await startService({ data, ...(policy !== undefined && { policy }) });
  const vkey = expectStatus(200, await first.admin.get<string>('/v1/audit/key')).trim();
  await first.stop();
  const states = makeDirectory();
  const witnesses: TestWitness[] = [];
  for (let i = 1; i <= count; i++) {
    const file = path.join(states, `w${i}.json`);
    witnesses.push(await startWitness({ name: `witness.test/w${i}`, file, logs: [vkey] }));
  }
  const config = path.join(states, 'countersign.yaml');
  const known = witnesses.map(({ vkey, url }) => ({ vkey, url }));
  const settings = {
    witnesses: {
      witnesses: known,
      quorum,
      ...(mode !== undefined && { mode }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    },
    ...(anchors !== undefined && { anchors }),
  };
  writeFileSync(config, stringify({ audit: settings }));
  return {
    data,
    witnesses,
    vkey,
    start: async () => await startService({ data, args: ['--config', config] }),
  };
}

export interface OutsideAnswer {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly audit: {
    readonly size: number;
    readonly exposed: { readonly entries: number; readonly seconds: number };
    readonly witnessed: {
      readonly size: number;
      readonly time?: string;
      readonly quorum: number;
      readonly mode: string;
      readonly witnesses: readonly {
        readonly name: string;
        readonly size: number;
        readonly problem?: string;
      }[];
    };
    readonly anchored: {
      readonly size: number;
      readonly anchors: readonly {
        readonly name: string;
        readonly size: number;
        readonly problem?: string;
      }[];
    };
  };
}

export async function statusOf(service: RunningService): Promise<OutsideAnswer> {
  return expectStatus(200, await service.admin.get<OutsideAnswer>('/v1/sys/status'));
}
