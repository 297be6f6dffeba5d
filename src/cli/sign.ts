import type { Command } from 'commander';
import type { PendingAnswer, SignAnswer } from './answers.ts';
import { pathStep } from './client.ts';
import { addOperations } from './operations.ts';
import { versionNumber } from './options.ts';
import { missingText } from './request.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details } from './table.ts';

export function addSignCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'sign',
    'sign transactions, messages, typed data, authorizations and digests',
  );
  const extend = (command: Command): Command =>
    command
      .option('--version <number>', 'version of the key; the primary when absent', versionNumber)
      .option('--break-glass <reason>', 'ask that a denial be overridden, where the policy has break-glass');

  addOperations(group, 'sign', extend, async ({ key, operation, body, command }) => {
    const session = openSession(host, command);
    const { version, breakGlass } = command.opts<{ version?: number; breakGlass?: string }>();
    const path = `/v1/keys/${pathStep('key', key)}/sign/${operation}`;
    const answer = await session.client().post<SignAnswer | PendingAnswer>(path, {
      ...body,
      version,
      breakGlass,
    });
    session.print(answer, (given) => ('request' in given ? pendingText(given) : signatureText(given)));
  });
}

function pendingText({ request: { id, status, expiresAt, approval } }: PendingAnswer): string {
  return details([
    ['request', id],
    ['status', status],
    ['approvals', approval.names.join(', ')],
    ['missing', missingText(approval)],
    ['expires', expiresAt],
    ['signature', `once approved: countersign request show ${id}`],
  ]);
}

function signatureText(answer: SignAnswer): string {
  const { key, signature, rawTransaction, transactionHash, digest, decision, receipt } = answer;
  return details([
    ['signature', signature],
    ['raw transaction', rawTransaction],
    ['transaction hash', transactionHash],
    ['digest', rawTransaction === undefined ? digest : undefined],
    ['signed by', `${key.name} version ${key.version}, ${key.address}`],
    ['rule', `${decision.rule ?? 'none'} (policy revision ${decision.policyRevision})`],
    ['audit entry', String(receipt.index)],
  ]);
}
