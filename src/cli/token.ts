import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import type { Command } from 'commander';
import { CountersignError, invalidField } from '../errors.ts';
import type { Credential, NewToken, Page } from './answers.ts';
import { pathStep } from './client.ts';
import { collect, seconds } from './options.ts';
import { principalId } from './principal.ts';
import { whyNot } from './secrets.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details, table } from './table.ts';

interface Bounds {
  readonly expiresAt?: string;
  readonly cidr?: readonly string[];
}

interface CreateOptions extends Bounds {
  readonly canary?: true;
  readonly output?: string;
}

interface RotateOptions {
  readonly overlap?: number;
  readonly output?: string;
}

interface CertificateOptions extends Bounds {
  readonly fingerprint?: string;
  readonly dns?: string;
  readonly uri?: string;
}

const OUTPUT_HELP = 'write the token to a new file that only you can read, in place of standard output';
const EXPIRY_HELP = 'RFC 3339, such as 2027-01-31T00:00:00Z';
const NETWORK_HELP = 'a network that it may be used from; may be repeated';

export function addTokenCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'token', 'the credentials of principals');

  addCommand(group, 'create <principal>', 'make a credential; its token is shown this once')
    .option('--expires-at <time>', EXPIRY_HELP)
    .option('--cidr <network>', NETWORK_HELP, collect)
    .option('--canary', 'one that lets nobody in, and raises an alert when it is used')
    .option('--output <file>', OUTPUT_HELP)
    .action(
      async (
        principal: string,
        { expiresAt, cidr: cidrs, canary, output }: CreateOptions,
        command: Command,
      ) => {
        const session = openSession(host, command);
        const client = session.client();
        const id = await principalId(client, principal);
        await issue(session, output, () =>
          client.post(`/v1/principals/${id}/credentials`, { expiresAt, cidrs, canary }),
        );
      },
    );

  addCommand(group, 'rotate', 'a new token in the place of the one that is used, or of another')
    .argument('[principal]', 'whose, and')
    .argument('[credential]', 'which of its tokens')
    .option('--overlap <seconds>', 'for how long the old token is still valid; 3600 when absent', seconds)
    .option('--output <file>', OUTPUT_HELP)
    .action(
      async (
        principal: string | undefined,
        credential: string | undefined,
        { overlap, output }: RotateOptions,
        command: Command,
      ) => {
        const session = openSession(host, command);
        const client = session.client();
        let path = '/v1/me/credentials';
        if (principal !== undefined) {
          if (credential === undefined) throw invalidField('credential', 'which one? token list shows them');
          const id = await principalId(client, principal);
          path = `/v1/principals/${id}/credentials/${pathStep('credential', credential)}`;
        }
        await issue(session, output, () => client.post(`${path}/rotate`, { overlap }));
      },
    );

  addCommand(group, 'certificate <principal>', 'let a client certificate stand for a principal')
    .option('--fingerprint <hex>', 'the SHA-256 fingerprint of the certificate')
    .option('--dns <name>', 'or a DNS name among its alternative names')
    .option('--uri <uri>', 'or a URI among them, such as a SPIFFE ID')
    .option('--expires-at <time>', EXPIRY_HELP)
    .option('--cidr <network>', NETWORK_HELP, collect)
    .action(
      async (
        principal: string,
        { fingerprint, dns, uri, expiresAt, cidr: cidrs }: CertificateOptions,
        command: Command,
      ) => {
        const session = openSession(host, command);
        const client = session.client();
        const id = await principalId(client, principal);
        const made = await client.post<Credential>(`/v1/principals/${id}/certificates`, {
          fingerprint,
          dns,
          uri,
          expiresAt,
          cidrs,
        });
        session.print(made, (credential) =>
          details([
            ['credential', credential.id],
            ['certificate', credential.match],
            ['expires', credential.expiresAt ?? 'never'],
          ]),
        );
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

/** @param request makes the token: it can't be had a second time. */
async function issue(
  session: Session,
  output: string | undefined,
  request: () => Promise<NewToken>,
): Promise<void> {
  // Before the token exists.
  const file = output === undefined ? undefined : createTokenFile(output);
  let made: NewToken;
  try {
    made = await request();
  } catch (error) {
    file?.discard();
    throw error;
  }
  const { token, ...rest } = made;
  if (file === undefined) {
    session.print(made, () => token);
    if (!session.json) session.terminal.err(`credential ${made.id}: keep the token, it is shown this once`);
    return;
  }
  file.write(token);
  session.print({ ...rest, file: output }, () => credentialLine(made, output));
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

function credentialLine({ id, expiresAt, predecessorExpiresAt }: NewToken, file: string | undefined): string {
  return details([
    ['credential', id],
    ['expires', expiresAt ?? 'never'],
    ['old one until', predecessorExpiresAt],
    ['token in', file],
  ]);
}

function credentialTable(credentials: readonly Credential[], width: number | undefined): string {
  const rows = credentials.map(({ id, match, createdAt, expiresAt, revokedAt, cidrs }) => [
    id,
    stateOf(expiresAt, revokedAt),
    match ?? 'token',
    createdAt,
    expiresAt ?? 'never',
    cidrs.join(', ') || 'anywhere',
  ]);
  return table(['ID', 'STATE', 'KIND', 'CREATED', 'EXPIRES', 'FROM'], rows, width);
}

function stateOf(expiresAt: string | undefined, revokedAt: string | undefined): string {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt !== undefined && new Date(expiresAt) <= new Date() ? 'expired' : 'valid';
}
