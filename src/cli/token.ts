import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { CountersignError } from '../errors.ts';
import type { Credential, NewToken, Page } from './answers.ts';
import { pathStep } from './client.ts';
import { collect } from './options.ts';
import { principalId } from './principal.ts';
import { whyNot } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, table } from './table.ts';

interface CreateOptions {
  readonly expiresAt?: string;
  readonly cidr?: readonly string[];
  readonly output?: string;
}

export function addTokenCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'token', 'the credentials of principals');

  addCommand(group, 'create <principal>', 'make a credential; its token is shown this once')
    .option('--expires-at <time>', 'RFC 3339, such as 2027-01-31T00:00:00Z')
    .option('--cidr <network>', 'a network that it may be used from; may be repeated', collect)
    .option(
      '--output <file>',
      'write the token to a new file that only you can read, in place of standard output',
    )
    .action(
      async (principal: string, { expiresAt, cidr: cidrs, output }: CreateOptions, command: Command) => {
        const session = openSession(host, command);
        const client = session.client();
        const id = await principalId(client, principal);
        // Before the credential exists: its token can't be had a second time.
        const file = output === undefined ? undefined : createTokenFile(output);
        let made: NewToken;
        try {
          made = await client.post(`/v1/principals/${id}/credentials`, { expiresAt, cidrs });
        } catch (error) {
          file?.discard();
          throw error;
        }
        const { token, ...rest } = made;
        if (file === undefined) {
          session.print(made, () => token);
          if (!session.json)
            session.terminal.err(`credential ${made.id}: keep the token, it is shown this once`);
          return;
        }
        file.write(token);
        session.print({ ...rest, file: output }, () => credentialLine(made, output));
      },
    );

  addCommand(group, 'list <principal>', 'list the credentials of a principal').action(
    async (principal: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const page = await client.get<Page<Credential>>(
        `/v1/principals/${await principalId(client, principal)}/credentials`,
      );
      if (page.items.length === 0 && !session.json) session.terminal.err('no credentials');
      else session.print(page, ({ items }) => credentialTable(items, session.terminal.width));
    },
  );

  addCommand(
    group,
    'revoke <principal> <credential>',
    'revoke a credential, from its next request on',
  ).action(async (principal: string, credential: string, _options: object, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    const path = `/v1/principals/${await principalId(client, principal)}/credentials/${pathStep('credential', credential)}`;
    const revoked = await client.post<Credential>(`${path}/revoke`, {});
    session.print(revoked, ({ id, revokedAt }) =>
      details([
        ['credential', id],
        ['revoked', revokedAt],
      ]),
    );
  });
}

interface TokenFile {
  write(token: string): void;
  discard(): void;
}

function createTokenFile(file: string): TokenFile {
  let fd: number;
  try {
    fd = openSync(file, 'wx', 0o600);
  } catch (error) {
    const exists = error instanceof Error && (error as NodeJS.ErrnoException).code === 'EEXIST';
    const why = exists ? 'it is there already' : whyNot(error);
    throw new CountersignError(
      'invalid_request',
      `the token cannot be written to ${file}: ${why}`,
      [],
      error,
    );
  }
  return {
    write: (token) => {
      writeSync(fd, `${token}\n`);
      fsyncSync(fd);
      closeSync(fd);
    },
    discard: () => {
      closeSync(fd);
      rmSync(file);
    },
  };
}

function credentialLine({ id, expiresAt }: NewToken, file: string | undefined): string {
  return details([
    ['credential', id],
    ['expires', expiresAt ?? 'never'],
    ['token in', file],
  ]);
}

function credentialTable(credentials: readonly Credential[], width: number | undefined): string {
  const rows = credentials.map(({ id, createdAt, expiresAt, revokedAt, cidrs }) => [
    id,
    stateOf(expiresAt, revokedAt),
    createdAt,
    expiresAt ?? 'never',
    cidrs.join(', ') || 'anywhere',
  ]);
  return table(['ID', 'STATE', 'CREATED', 'EXPIRES', 'FROM'], rows, width);
}

function stateOf(expiresAt: string | undefined, revokedAt: string | undefined): string {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && new Date(expiresAt) <= new Date() ? 'expired' : 'valid';
}
