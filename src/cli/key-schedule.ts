import { InvalidArgumentError, type Command } from 'commander';
import { CountersignError } from '../errors.ts';
import type { Key } from './answers.ts';
import { pathStep } from './client.ts';
import { keyText } from './key-text.ts';
import { count } from './options.ts';
import { addCommand, openSession, type Host } from './session.ts';

interface ScheduleOptions {
  readonly every?: number;
  readonly window?: object;
  readonly never?: true;
}

/** `key schedule`: rotations that nobody asks for. */
export function addKeyScheduleCommand(group: Command, host: Host): void {
  addCommand(group, 'schedule <name>', 'rotate a key regularly, or no more')
    .option('--every <days>', 'how often', count)
    .option(
      '--window <zone,days,from-to>',
      'when it may begin, such as Europe/Zurich,mon+tue,09:00-17:00; at any time when absent',
      windowOf,
    )
    .option('--never', 'end the schedule that the key has')
    .action(async (name: string, options: ScheduleOptions, command: Command) => {
      const session = openSession(host, command);
      const path = `/v1/keys/${pathStep('name', name)}/rotation-schedule`;
      session.print(await session.client().post<Key>(path, { rotation: scheduleOf(options) }), keyText);
    });
}

function scheduleOf({ every, window, never }: ScheduleOptions): object | null {
  const ends = never === true;
  if (ends === (every !== undefined) || (ends && window !== undefined)) {
    throw new CountersignError('invalid_request', 'give --every DAYS, with --window if you like, or --never');
  }
  return ends ? null : { everyDays: every, ...(window !== undefined && { window }) };
}

/** What a zone and a day is, the service knows. */
function windowOf(text: string): object {
  const [tz = '', days = '', times = '', ...more] = text.split(',');
  const [from = '', to = ''] = times.split('-');
  if (tz === '' || days === '' || from === '' || to === '' || more.length > 0)
    throw new InvalidArgumentError('write ZONE,DAYS,FROM-TO');
  return { tz, days: days.split('+'), from, to };
}
