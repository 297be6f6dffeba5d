import type { Command } from 'commander';
import { principalId } from './principal.ts';
import { readSecret, secretToString } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details } from './table.ts';

interface Enrolment {
  readonly secret: string;
  readonly uri: string;
}

interface SecondFactor {
  readonly principal: string;
  readonly confirmed: boolean;
}

export function addTotpCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'totp',
    'one-time codes (RFC 6238), the second factor of those who approve',
  );

  addCommand(group, 'enrol', 'begin to use one: prints the secret for an authenticator app, once').action(
    async (_options: object, command: Command) => {
      const session = openSession(host, command);
      const enrolment = await session.client().post<Enrolment>('/v1/me/totp', {});
      session.terminal.err('enter this in an authenticator app, then: countersign totp confirm');
      session.print(enrolment, ({ secret, uri }) =>
        details([
          ['secret', secret],
          ['uri', uri],
        ]),
      );
    },
  );

  addCommand(group, 'confirm', 'confirm it by its first code; from then on every approval takes one')
    .option('--otp-file <file>', 'the code from a file; - for standard input; asked for when absent')
    .action(async ({ otpFile }: { otpFile?: string }, command: Command) => {
      const session = openSession(host, command);
      const name = 'the one-time code';
      const code = await readSecret({ name, option: '--otp-file', file: otpFile }, session.terminal);
      const otp = secretToString(code, name);
      session.print(await session.client().post<SecondFactor>('/v1/me/totp/confirm', { otp }), stateText);
    });

  addCommand(
    group,
    'reset <principal>',
    'take away the second factor of a principal that has lost it',
  ).action(async (principal: string, _options: object, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    const id = await principalId(client, principal);
    session.print(await client.post<SecondFactor>(`/v1/principals/${id}/totp/reset`, {}), stateText);
  });
}

function stateText({ principal, confirmed }: SecondFactor): string {
  return `${principal} ${confirmed ? 'has a second factor' : 'has no second factor'}`;
}
