import { basename } from 'node:path';
import type { Command } from 'commander';
import type { Proposal } from './answers.ts';
import { listAll, pathStep } from './client.ts';
import { readTextFile, readTextFiles, sendFile } from './policy-file.ts';
import { collect } from './options.ts';
import { approve, missingText, voteText, withVoteOptions, type VoteOptions } from './request.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, printable, table } from './table.ts';

const PATH = '/v1/policy/proposals';

interface ProposeOptions {
  readonly suite?: readonly string[];
  readonly comment?: string;
}

/** The commands of `policy` by which the document changes. */
export function addProposalCommands(group: Command, host: Host): void {
  addCommand(group, 'propose <file>', 'propose a policy; it is in force once somebody else has approved it')
    .option('--suite <file>', 'a test suite that it has to pass, now and later; may be repeated', collect)
    .option('--comment <text>', 'why; kept in the audit log')
    .action(async (file: string, { suite = [], comment }: ProposeOptions, command: Command) => {
      const session = openSession(host, command);
      // One that is sent anew takes the place of an earlier one by its name, wherever the file lies.
      const suites = (await readTextFiles(suite)).map(({ name, text }) => ({ name: basename(name), text }));
      const send = (document: string): Promise<Proposal> =>
        session.client().post(PATH, { document, suites, comment });
      session.print(await sendFile(await readTextFile(file), send), proposalText);
    });

  addCommand(group, 'proposals', 'list proposals, newest first')
    .option('--status <status>', 'pending, accepted, rejected, expired or void')
    .action(async ({ status }: { status?: string }, command: Command) => {
      const session = openSession(host, command);
      const items = await listAll<Proposal>(session.client(), PATH, { status });
      if (items.length === 0 && !session.json) {
        session.terminal.err('no proposals');
        return;
      }
      session.print({ items, nextCursor: null }, () => {
        const rows = items.map(({ id, status: state, revision, proposer, approval }) => [
          id,
          state,
          `${revision}`,
          proposer.name,
          missingText(approval),
        ]);
        return table(['ID', 'STATUS', 'REVISION', 'PROPOSER', 'MISSING'], rows, session.terminal.width);
      });
    });

  addCommand(group, 'proposal <id>', 'one proposal: what it changes, and what to know').action(
    async (id: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().get<Proposal>(pathOf(id)), proposalText);
    },
  );

  withVoteOptions(addCommand(group, 'approve <id>', 'approve a proposal of somebody else')).action(
    async (id: string, options: VoteOptions, command: Command) => {
      const session = openSession(host, command);
      session.print(await approve<Proposal>(session, pathOf(id), options), proposalText);
    },
  );

  addCommand(group, 'reject <id>', 'reject a proposal, or take back your own')
    .option('--comment <text>', 'why; kept in the audit log')
    .action(async (id: string, { comment }: { comment?: string }, command: Command) => {
      const session = openSession(host, command);
      const answer = await session.client().post<Proposal>(`${pathOf(id)}/reject`, { comment });
      session.print(answer, proposalText);
    });
}

function pathOf(id: string): string {
  return `${PATH}/${pathStep('id', id)}`;
}

function proposalText(proposal: Proposal): string {
  const { tests, approval, votes, changes, warnings } = proposal;
  const head = details([
    ['proposal', proposal.id],
    ['status', proposal.status],
    ['revision', `${proposal.revision}`],
    ['proposer', proposal.proposer.name],
    ['comment', proposal.comment],
    ['tests', `${tests.passed} passed, ${tests.failed} failed`],
    ['approvals', approval.names.join(', ')],
    ['missing', missingText(approval)],
    ...votes.map(
      (vote) => [vote.verdict === 'approve' ? 'approved by' : 'rejected by', voteText(vote)] as const,
    ),
    ['expires', proposal.expiresAt],
    ['hash', proposal.hash],
  ]);
  return [
    head,
    '',
    'What changes:',
    ...changes.map((line) => `  ${printable(line)}`),
    ...(warnings.length === 0 ? [] : ['', 'To know:', ...warnings.map((line) => `  ${printable(line)}`)]),
  ].join('\n');
}
