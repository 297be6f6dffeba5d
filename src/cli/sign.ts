import type { Command } from 'commander';
import type { SignAnswer } from './answers.ts';
import { pathStep } from './client.ts';
import { addOperations } from './operations.ts';
import { versionNumber } from './options.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details } from './table.ts';

export function addSignCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'sign',
    'sign transactions, messages, typed data, authorizations and digests',
  );
  const extend = (command: Command): Command =>
    command.option('--version <number>', 'version of the key; the primary when absent', versionNumber);

  addOperations(group, 'sign', extend, async ({ key, operation, body, command }) => {
    const session = openSession(host, command);
    const { version } = command.opts<{ version?: number }>();
    const path = `/v1/keys/${pathStep('key', key)}/sign/${operation}`;
    const answer = await session.client().post<SignAnswer>(path, { ...body, version });
    session.print(answer, signatureText);
  });
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
