import type { Command } from 'commander';
import type { SigningRequest, ApprovalProgress } from './answers.ts';
import { ApiError, listAll, pathStep } from './client.ts';
import { readSecret, secretToString } from './secrets.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details, printable, printableJson, table } from './table.ts';

const PATH = '/v1/requests';

export interface VoteOptions {
  readonly comment?: string;
  readonly otp?: true;
  readonly otpFile?: string;
}

export function addRequestCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'request', 'signatures that wait for approval');

  addCommand(group, 'list', 'list requests, newest first; a signer sees its own')
    .option(
      '--status <status>',
      'pending, approved, signed, exported, rejected, expired, cancelled, void or failed',
    )
    .action(async ({ status }: { status?: string }, command: Command) => {
      const session = openSession(host, command);
      const items = await listAll<SigningRequest>(session.client(), PATH, { status });
      if (items.length === 0 && !session.json) {
        session.terminal.err('no requests');
        return;
      }
      session.print({ items, nextCursor: null }, () => {
        const rows = items.map((item) => [
          item.id,
          item.status,
          item.key.name,
          item.requester.name,
          missingText(item.approval),
          item.description[0] ?? item.operation,
        ]);
        return table(['ID', 'STATUS', 'KEY', 'REQUESTER', 'MISSING', 'WHAT'], rows, session.terminal.width);
      });
    });

  addCommand(group, 'show <id>', 'what a request does, in words and as it would be signed').action(
    async (id: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().get<SigningRequest>(pathOf(id)), requestText);
    },
  );

  withVoteOptions(
    addCommand(group, 'approve <id>', 'approve a request; with the last approval it is signed'),
  ).action(async (id: string, options: VoteOptions, command: Command) => {
    const session = openSession(host, command);
    session.print(await approve<SigningRequest>(session, pathOf(id), options), requestText);
  });

  addCommand(group, 'reject <id>', 'reject a request')
    .option('--comment <text>', 'why; kept in the audit log')
    .action(async (id: string, { comment }: VoteOptions, command: Command) => {
      const session = openSession(host, command);
      session.print(
        await session.client().post<SigningRequest>(`${pathOf(id)}/reject`, { comment }),
        requestText,
      );
    });

  for (const [verb, summary] of [
    ['cancel', 'take back a request of your own'],
    ['execute', 'sign an approved request of your own, where its last approval could not'],
  ] as const) {
    addCommand(group, `${verb} <id>`, summary).action(
      async (id: string, _options: object, command: Command) => {
        const session = openSession(host, command);
        session.print(await session.client().post<SigningRequest>(`${pathOf(id)}/${verb}`, {}), requestText);
      },
    );
  }
}

/** The options of whoever approves a request or a proposal. */
export function withVoteOptions(command: Command): Command {
  return command
    .option('--comment <text>', 'kept in the audit log')
    .option('--otp', 'ask for the one-time code of your second factor')
    .option('--otp-file <file>', 'the code from a file; - for standard input');
}

/** Approves what is at that path: a request or a proposal. Where a code is missing, says how to give it. */
export async function approve<T>(session: Session, path: string, options: VoteOptions): Promise<T> {
  const code = await readCode(session, options);
  try {
    return await session.client().post<T>(`${path}/approve`, { comment: options.comment, otp: code });
  } catch (error) {
    const asksForIt = error instanceof ApiError && error.errors.some((field) => field.path === 'otp');
    if (!asksForIt || code !== undefined) throw error;
    const detail = 'this takes the one-time code of your second factor: give --otp, or --otp-file FILE';
    throw error.retold({ detail, errors: [] });
  }
}

/** It comes from the keyboard, a file or standard input, as secrets do. */
async function readCode(session: Session, { otp, otpFile }: VoteOptions): Promise<string | undefined> {
  if (otp === undefined && otpFile === undefined) return undefined;
  const name = 'the one-time code';
  const code = await readSecret({ name, option: '--otp-file', file: otpFile }, session.terminal);
  return secretToString(code, name);
}

/** `2 of approver, 1 of admin`, with the names of several approvals; `nothing` when all is there. */
export function missingText({ names, missing }: ApprovalProgress): string {
  if (missing.length === 0) return 'nothing';
  return missing
    .map(({ approval, role, m, have }) => `${m - have} of ${role}${names.length > 1 ? ` (${approval})` : ''}`)
    .join(', ');
}

function pathOf(id: string): string {
  return `${PATH}/${pathStep('id', id)}`;
}

function requestText(request: SigningRequest): string {
  const { requester, key, approval, votes, result } = request;
  const head = details([
    ['request', request.id],
    ['status', request.status],
    ['requester', requester.name],
    ['key', `${key.name} version ${key.version}, ${key.address}`],
    ['because', request.reason],
    ['break-glass', request.breakGlass],
    ['approvals', approval.names.join(', ')],
    ['missing', missingText(approval)],
    ...votes.map(
      (vote) => [vote.verdict === 'approve' ? 'approved by' : 'rejected by', voteText(vote)] as const,
    ),
    ['policy', `revision ${request.policyRevision}`],
    ['expires', request.expiresAt],
    ['note', request.note],
    ['digest', request.digest],
    ['signature', result?.signature],
    ['raw transaction', result?.rawTransaction],
    ['transaction hash', result?.transactionHash],
  ]);
  const what = request.description.map((line) => `  ${printable(line)}`);
  return [
    head,
    '',
    'What it does:',
    ...what,
    // Of an export, nothing is.
    ...(request.operation === 'key.export'
      ? []
      : ['', 'As it would be signed:', printableJson(request.intent)]),
  ].join('\n');
}

export function voteText({ name, comment, otp, mtls, time }: SigningRequest['votes'][number]): string {
  const proof = [otp ? 'one-time code' : '', mtls ? 'client certificate' : ''].filter((each) => each !== '');
  return `${name} at ${time}${proof.length === 0 ? '' : ` (${proof.join(', ')})`}${comment === undefined ? '' : `: ${comment}`}`;
}
