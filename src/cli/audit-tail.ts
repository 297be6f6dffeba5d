import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Entry } from '../audit/entry.ts';
import { CountersignError } from '../errors.ts';
import type { AuditEntry, Status } from './answers.ts';
import { ApiError, type Client, type Query } from './client.ts';
import { filterOf, type FilterFlags } from './entry-filter.ts';
import { openSession, type Host } from './session.ts';
import { printable, printableJson } from './table.ts';

export interface TailFlags extends FilterFlags {
  readonly from?: number;
}

const AGAIN_MS = 2_000;

/** Prints entries as they come, until it is ended. A connection that is lost is made again, and nothing is left out. */
export async function auditTail(host: Host, flags: TailFlags, command: Command): Promise<void> {
  const session = openSession(host, command);
  const client = session.client();
  const filter = filterOf(flags);
  let next = flags.from ?? (await client.get<Status>('/v1/sys/status')).audit.size;
  for (;;) {
    try {
      for await (const entry of entriesFrom(client, next, filter)) {
        session.terminal.out(session.json ? printableJson(entry) : lineOf(entry));
        next = entry.index + 1;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
      session.terminal.err(`${(error as CountersignError).message}; trying again from entry ${next}`);
    }
    await sleep(AGAIN_MS);
  }
}

async function* entriesFrom(client: Client, from: number, filter: Query): AsyncGenerator<AuditEntry> {
  const { body } = await client.getStream('/v1/audit/stream', { ...filter, from });
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const data = block.split('\n').find((line) => line.startsWith('data: '));
      if (data !== undefined) yield JSON.parse(data.slice('data: '.length)) as AuditEntry;
    }
  }
}

/** The service may be back in a moment. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof CountersignError)) return false;
  return (
    error.code === 'unavailable' ||
    error.code === 'timeout' ||
    (error instanceof ApiError && error.code === 'rate_limited')
  );
}

function lineOf({ index, entry }: AuditEntry): string {
  const { time, kind, outcome, actor, key, operation, decision } = entry as unknown as Entry;
  const words = [String(index), time, kind, outcome, actor?.principal, key?.name, operation, decision?.rule];
  return words.map((word) => (word === undefined ? '-' : printable(word))).join('  ');
}
