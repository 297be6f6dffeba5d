import type { Command } from 'commander';
import { CountersignError } from '../errors.ts';
import type { Principal } from './answers.ts';
import { listAll, type Client } from './client.ts';
import { collect } from './options.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details, table } from './table.ts';

const PATH = '/v1/principals';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function addPrincipalCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'principal', 'who may call, and in which roles');

  addCommand(group, 'create <name>', 'create a principal; token create gives it a credential')
    .requiredOption('--role <role>', 'a role; may be repeated', collect)
    .action(async (name: string, { role: roles }: { role: readonly string[] }, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().post<Principal>(PATH, { name, roles }), principalText);
    });

  addCommand(group, 'list', 'list principals').action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const items = await listAll<Principal>(session.client(), PATH);
    session.print({ items, nextCursor: null }, () => {
      const rows = items.map(({ name, roles, state, id }) => [name, roles.join(', '), state, id]);
      return table(['NAME', 'ROLES', 'STATE', 'ID'], rows, session.terminal.width);
    });
  });

  addCommand(group, 'show <principal>', 'one principal, by name or id').action(
    async (principal: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      session.print(await findPrincipal(session.client(), principal), principalText);
    },
  );

  addCommand(group, 'set-roles <principal> <roles...>', 'replace the roles of a principal').action(
    async (principal: string, roles: string[], _options: object, command: Command) => {
      await change(openSession(host, command), principal, { roles });
    },
  );

  for (const [verb, state] of [
    ['disable', 'disabled'],
    ['enable', 'enabled'],
  ] as const) {
    addCommand(group, `${verb} <principal>`, `${verb} a principal, from its next request on`).action(
      async (principal: string, _options: object, command: Command) => {
        await change(openSession(host, command), principal, { state });
      },
    );
  }
}

/** By id, or by name, which takes a role that may list principals. Throws `not_found`. */
export async function findPrincipal(client: Client, nameOrId: string): Promise<Principal> {
  if (UUID.test(nameOrId)) return await client.get(`${PATH}/${nameOrId}`);
  const found = (await listAll<Principal>(client, PATH)).find(({ name }) => name === nameOrId);
  if (found !== undefined) return found;
  throw new CountersignError('not_found', `there is no principal named ${nameOrId}`);
}

/** Without a request where the id itself is given. */
export async function principalId(client: Client, nameOrId: string): Promise<string> {
  return UUID.test(nameOrId) ? nameOrId : (await findPrincipal(client, nameOrId)).id;
}

async function change(session: Session, principal: string, body: object): Promise<void> {
  const client = session.client();
  const id = await principalId(client, principal);
  session.print(await client.patch<Principal>(`${PATH}/${id}`, body), principalText);
}

function principalText({ name, id, roles, state, createdAt }: Principal): string {
  return details([
    ['principal', name],
    ['id', id],
    ['roles', roles.join(', ')],
    ['state', state],
    ['created', createdAt],
  ]);
}
