import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Rotation } from './answers.ts';
import { listAll, pathStep, type Client } from './client.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, printable, table } from './table.ts';
import type { Terminal } from './terminal.ts';

const PATH = '/v1/rotations';
const LOOK_MS = 1_000;
const STEPS = 6;

export function addRotationCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'rotation', 'rotations of keys that are under way, or were');

  addCommand(group, 'list', 'list rotations, newest first')
    .option('--key <name>', 'only those of this key')
    .option('--state <state>', 'only those in this state')
    .action(async ({ key, state }: { key?: string; state?: string }, command: Command) => {
      const session = openSession(host, command);
      const items = await listAll<Rotation>(session.client(), PATH, { key, state });
      if (items.length === 0 && !session.json) {
        session.terminal.err('no rotations');
        return;
      }
      session.print({ items, nextCursor: null }, () => {
        const rows = items.map((each) => [each.id, each.key, each.state, nextText(each)]);
        return table(['ID', 'KEY', 'STATE', 'NEXT'], rows, session.terminal.width);
      });
    });

  addCommand(group, 'show <id>', 'one rotation: what was done, what comes next, and what it waits for')
    .option('--follow', 'wait until it is over')
    .action(async (id: string, { follow }: { follow?: true }, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const rotation =
        follow === true
          ? await untilOver(client, pathOf(id), session.terminal)
          : await client.get<Rotation>(pathOf(id));
      session.print(rotation, rotationText);
    });

  addCommand(group, 'advance <id>', 'let the step come that waits for a person')
    .option('--step <step>', 'the step that is meant: fails when another one comes next')
    .action(async (id: string, { step }: { step?: string }, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().post<Rotation>(`${pathOf(id)}/advance`, { step }), rotationText);
    });

  addCommand(group, 'abort <id>', 'end a rotation and undo what it did')
    .requiredOption('--reason <text>', 'why; kept in the audit log')
    .action(async (id: string, { reason }: { reason: string }, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.client().post<Rotation>(`${pathOf(id)}/abort`, { reason }), rotationText);
    });
}

export function rotationText(rotation: Rotation): string {
  const { id, key, mode, state, old, startedBy, next, abort, holdup, note } = rotation;
  const made = rotation.new;
  return details([
    ['rotation', id],
    ['key', key],
    ['mode', mode],
    ['state', `${state} since ${rotation.since}`],
    ['reason', rotation.reason],
    ['old', `version ${old.version}, ${old.address}`],
    ['new', made === null ? 'not made yet' : `version ${made.version}, ${made.address}`],
    ['started by', startedBy ?? 'the schedule of the key'],
    ...rotation.steps.map(
      ({ step, time, by }) => [step, `${time}${by === undefined ? '' : ` by ${by}`}`] as const,
    ),
    ['next', next === null ? undefined : nextText(rotation)],
    ['an abort', abort ?? undefined],
    ['held up by', holdup],
    ['note', note],
  ]);
}

function nextText({ next }: Rotation): string {
  if (next === null) return '';
  const waits = next.waits.map((wait) => `${wait.for}${wait.overdue ? ' (overdue)' : ''}`);
  return `${next.step} at ${next.due}${waits.length > 0 ? `, waits for ${waits.join(', ')}` : ''}`;
}

/** Where a person watches, how far it is. */
async function untilOver(client: Client, path: string, terminal: Terminal): Promise<Rotation> {
  for (;;) {
    const rotation = await client.get<Rotation>(path);
    const { state, steps } = rotation;
    if (state === 'completed' || state === 'aborted') {
      if (terminal.interactive) terminal.redraw('');
      return rotation;
    }
    if (terminal.interactive)
      terminal.redraw(printable(`${state} (${steps.length} of ${STEPS} steps); ${nextText(rotation)}`));
    await sleep(LOOK_MS);
  }
}

function pathOf(id: string): string {
  return `${PATH}/${pathStep('id', id)}`;
}
