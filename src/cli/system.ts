import type { Command } from 'commander';
import type { Status } from './answers.ts';
import { EXIT } from './failure.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { printStatus } from './status-text.ts';
import { printableJson } from './table.ts';

/** status, openapi. */
export function addSystemCommands(program: Command, host: Host): void {
  addCommand(
    program,
    'status',
    'state of the service; exit code 2 while it is sealed, 1 while it is not ready',
  ).action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    const status = await client.get<Status>('/v1/sys/status');
    printStatus(session, client, status);
    if (status.sealed) host.setExitCode(EXIT.sealed);
    else if (!status.ready) host.setExitCode(EXIT.error);
  });

  addCommand(program, 'openapi', 'the OpenAPI document of the service (needs no credential)').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.publicClient().get<object>('/openapi.json'), printableJson);
    },
  );
}
