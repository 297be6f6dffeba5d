import { Option, type Command } from 'commander';
import { parseCheckpoint } from '../audit/tree/checkpoint.ts';
import type { Entry } from '../audit/entry.ts';
import { parseNote } from '../audit/tree/note.ts';
import { auditExport, EXPORT_FORMATS, type ExportFlags } from './audit-export.ts';
import { addProofCommands } from './audit-proof.ts';
import { auditTail, type TailFlags } from './audit-tail.ts';
import type { VerifyFlags } from './audit-verify.ts';
import type { AuditEntry } from './answers.ts';
import { PAGE_SIZE, pagesOf, type Client, type Query } from './client.ts';
import { addFilter, filterOf, type FilterFlags } from './entry-filter.ts';
import { count, index } from './options.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, printable, printableJson, table } from './table.ts';
import { withWitnessOptions } from './witness-policy.ts';

const DEFAULT_LIMIT = 20;

interface ShowOptions extends FilterFlags {
  readonly from?: number;
  readonly limit: number;
  readonly since?: string;
  readonly until?: string;
}

export function addAuditCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'audit',
    'read and verify the log of everything that was decided and done',
  );

  const show = addCommand(
    group,
    'show',
    'one entry; or a table of the newest entries that match, the newest last',
  )
    .argument('[entry]', 'its index', index)
    .option('--from <index>', 'begin at this entry, and go on to newer ones', index)
    .option('--limit <number>', 'show at most so many', count, DEFAULT_LIMIT)
    .option('--since <time>', 'RFC 3339')
    .option('--until <time>', 'RFC 3339, exclusive');
  addFilter(show).action(async (number: number | undefined, options: ShowOptions, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    if (number !== undefined) {
      const entry = await client.get<AuditEntry>(`/v1/audit/entries/${number}`);
      session.print(entry, entryText);
      return;
    }
    const found = await findEntries(client, options);
    if (found.items.length === 0 && !session.json) session.terminal.err('no entries');
    else session.print(found, ({ items }) => entryTable(items, session.terminal.width));
    if (!session.json && found.nextCursor !== null) session.terminal.err(hint(options, found.nextCursor));
  });

  const tail = addCommand(group, 'tail', 'entries as they come, a line each, until it is ended').option(
    '--from <index>',
    'begin at this entry',
    index,
  );
  addFilter(tail).action(async (flags: TailFlags, command: Command) => {
    await auditTail(host, flags, command);
  });

  const exporting = addCommand(
    group,
    'export',
    'entries into a file, or the whole log into an archive that verifies offline',
  )
    .addOption(new Option('--format <format>', 'of the file').choices(EXPORT_FORMATS).default('jsonl'))
    .requiredOption('--output <file>', 'where to; an archive that is there is brought up to date')
    .option('--resume', 'go on with an export that was broken off')
    .option('--data <directory>', 'archive the log of a data directory; the service may run or not')
    .option('--since <time>', 'RFC 3339')
    .option('--until <time>', 'RFC 3339, exclusive');
  addFilter(exporting).action(async (flags: ExportFlags, command: Command) => {
    await auditExport(host, flags, command);
  });

  const verify = addCommand(
    group,
    'verify',
    'check the whole log: of a running service, or offline with --data or --archive',
  )
    .option('--data <directory>', 'read the data directory itself; the service may run or not')
    .option('--archive <file>', 'read an archive that was exported')
    .option('--vkey <vkey>', 'the verifier key that you know is the log’s')
    .option('--trusted <file>', 'a checkpoint seen earlier, which the log must continue')
    .option('--save <file>', 'write the newest verified checkpoint there, for --trusted the next time')
    .option(
      '--no-signatures',
      'leave out that each signature recovers to its key, which takes most of the time',
    );
  withWitnessOptions(verify).action(async (flags: VerifyFlags, command: Command) => {
    const { auditVerify } = await import('./audit-verify.ts');
    await auditVerify(host, flags, command);
  });

  addProofCommands(group, host);

  addCommand(group, 'checkpoint', 'the signed checkpoint of the log as it is now').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      const note = await session.client().getText('/v1/audit/checkpoint');
      const { origin, size, root } = parseCheckpoint(parseNote(note).text);
      session.print({ origin, size, root: root.toString('hex'), note }, () => note.trimEnd());
    },
  );

  addCommand(group, 'key', 'the verifier key of the log, to pin').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      const vkey = (await session.client().getText('/v1/audit/key')).trimEnd();
      session.print({ vkey }, () => vkey);
    },
  );

  addCommand(
    group,
    'rotate-key',
    'put a new key of the log in force; whoever has pinned the old one verifies on with it',
  )
    .requiredOption('--reason <text>', 'why; kept in the audit log')
    .action(async ({ reason }: { reason: string }, command: Command) => {
      const session = openSession(host, command);
      const rotated = await session.client().post<Rotated>('/v1/sys/rotate-log-key', { reason });
      session.print(rotated, rotatedText);
    });

  addCommand(group, 'acknowledge', 'sign again, although a witness or an anchor holds another log than this')
    .requiredOption('--reason <text>', 'why that is as it should be; kept in the audit log')
    .action(async ({ reason }: { reason: string }, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const answer = await client.post<Acknowledged>('/v1/audit/split-view/acknowledge', { reason });
      session.print(answer, ({ acknowledged }) =>
        ['acknowledged, and not raised again:', ...acknowledged.map((each) => `  ${printable(each)}`)].join(
          '\n',
        ),
      );
    });
}

interface Acknowledged {
  readonly acknowledged: readonly string[];
}

interface Rotated {
  readonly oldKey: string;
  readonly newKey: string;
  readonly receipt: { readonly index: number; readonly leafHash: string };
}

function rotatedText({ oldKey, newKey, receipt }: Rotated): string {
  const lines = details([
    ['verifier key before', oldKey],
    ['verifier key now', newKey],
    ['entry', String(receipt.index)],
  ]);
  return `${lines}\nwitnesses, and whoever checks single checkpoints or proofs, need the new one; audit verify goes on with the old one`;
}

interface Found {
  /** In the order of the log. */
  readonly items: readonly AuditEntry[];
  readonly nextCursor: string | null;
}

async function findEntries(client: Client, options: ShowOptions): Promise<Found> {
  const { from, limit, since, until } = options;
  const filter = { ...filterOf(options), since, until };
  const newest = from === undefined;
  const order = newest ? 'desc' : 'asc';
  const query: Query = { ...filter, order, from, limit: Math.min(limit + 1, PAGE_SIZE) };
  const items: AuditEntry[] = [];
  let nextCursor: string | null = null;
  for await (const entry of pagesOf<AuditEntry>(client, '/v1/audit/entries', query)) {
    if (items.length === limit) {
      nextCursor = String(entry.index);
      break;
    }
    items.push(entry);
  }
  return { items: newest ? items.toReversed() : items, nextCursor };
}

/** How to see those that match and were not shown. */
function hint({ from, limit }: ShowOptions, next: string): string {
  if (from !== undefined) return `more: --from ${next}`;
  return `there are older ones: give a --limit over ${limit}, or --from 0 to begin with the oldest`;
}

function entryTable(entries: readonly AuditEntry[], width: number | undefined): string {
  const rows = entries.map(({ index, entry }) => {
    const { time, kind, outcome, actor, key, operation, decision } = entry as unknown as Entry;
    return [String(index), time, kind, outcome, actor?.principal, key?.name, operation, decision?.rule].map(
      (value) => value ?? '',
    );
  });
  return table(['INDEX', 'TIME', 'KIND', 'OUTCOME', 'PRINCIPAL', 'KEY', 'OPERATION', 'RULE'], rows, width);
}

function entryText({ index, leafHash, entry }: AuditEntry): string {
  const {
    time,
    kind,
    outcome,
    actor,
    requestId,
    key,
    operation,
    decision,
    digest,
    signature,
    transactionHash,
    intent,
    detail,
  } = entry as unknown as Entry;
  const head = details([
    ['entry', String(index)],
    ['leaf hash', leafHash],
    ['time', time],
    ['kind', kind],
    ['outcome', outcome],
    ['principal', actor?.principal],
    ['credential', actor?.credential],
    ['address', actor?.address],
    ['request', requestId],
    [
      'key',
      key && `${key.name}${key.version === undefined ? '' : ` version ${key.version}`}, ${key.address ?? ''}`,
    ],
    ['operation', operation],
    ['decision', decision && `${decision.effect}: ${decision.reason}`],
    ['approved by', decision?.approvers?.join(', ')],
    ['in shadow', decision?.shadow?.map(({ rule, effect }) => `${rule} would ${effect}`).join(', ')],
    ['policy', decision && `revision ${decision.policyRevision}, ${decision.policyHash}`],
    ['digest', digest],
    ['signature', signature],
    ['transaction hash', transactionHash],
  ]);
  const blocks = [
    ...(intent === undefined ? [] : [`intent ${printableJson(intent)}`]),
    ...(detail === undefined ? [] : [`detail ${printableJson(detail)}`]),
  ];
  return [head, ...blocks].join('\n');
}
