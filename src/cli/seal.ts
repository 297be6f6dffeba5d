import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Rewrap, Status } from './answers.ts';
import type { Client } from './client.ts';
import { createProgress } from './progress.ts';
import {
  addNewSealOptions,
  addPassphraseOptions,
  addShareOption,
  prepareOutput,
  readNewSeal,
  readPassphrase,
  readShares,
  sharesText,
  type NewSealOptions,
  type PassphraseOptions,
} from './seal-secrets.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { printStatus, statusText } from './status-text.ts';
import { details } from './table.ts';

interface UnsealOptions extends PassphraseOptions {
  readonly shareFile?: readonly string[];
  readonly reset?: boolean;
}

const POLL_MS = 300;

/** init, unseal, seal, rotate-root, rewrap. */
export function addSealCommands(program: Command, host: Host): void {
  addNewSealOptions(
    addCommand(
      program,
      'init',
      'make the root keyring, sealed with a passphrase or in shares; once in the life of a data directory',
    ),
  ).action(async (options: NewSealOptions, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    const seal = await readNewSeal(session, options, 'the passphrase');
    prepareOutput(options.output);
    const answer = await client.post<Status & { shares?: string[] }>('/v1/sys/init', { seal });
    const written = sharesText(answer.shares, options.output);
    const status = { ...answer };
    // Those are in files now.
    if (options.output !== undefined) delete status.shares;
    session.print(status, () => [statusText(client.url, status), ...written].join('\n'));
  });

  addShareOption(
    addPassphraseOptions(
      addCommand(program, 'unseal', 'open the root keyring, so that keys can sign'),
      'the passphrase',
    ),
  )
    .option('--reset', 'forget the shares that were given so far')
    .action(async (options: UnsealOptions, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      let status: Status | undefined;
      for (const body of await unsealBodies(session, client, options))
        status = await client.post<Status>('/v1/sys/unseal', body);
      if (status !== undefined) printStatus(session, client, status);
    });

  addCommand(program, 'seal', 'wipe every key from memory, until somebody unseals').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      printStatus(session, client, await client.post('/v1/sys/seal', {}));
    },
  );

  addCommand(
    program,
    'rotate-root',
    'add a term to the root keyring: what is sealed from now on is under it',
  ).action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const answer = await session
      .client()
      .post<{ term: number; createdAt: string }>('/v1/sys/rotate-root', {});
    session.print(answer, ({ term, createdAt }) =>
      [
        details([
          ['term', String(term)],
          ['made', createdAt],
        ]),
        'What was sealed before stays under its own term: countersign rewrap moves it.',
      ].join('\n'),
    );
  });

  addCommand(program, 'rewrap', 'move everything that is sealed to the newest term, while the service signs')
    .option('--wait', 'until it is done, with progress')
    .action(async ({ wait = false }: { wait?: boolean }, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const { job } = await client.post<{ job: Rewrap }>('/v1/sys/rewrap', {});
      session.print(wait ? await finished(session, client, job) : job, rewrapText);
    });
}

/** What is to be sent, one after the other. */
async function unsealBodies(
  session: Session,
  client: Client,
  { shareFile, reset, ...options }: UnsealOptions,
): Promise<object[]> {
  if (reset === true) return [{ reset: true }];
  const asked = options.passphraseFile === undefined && options.passphraseFd === undefined;
  const { initialized, sealed, seal } = await client.get<Status>('/v1/sys/status');
  if (shareFile !== undefined || (asked && seal.type === 'shamir' && sealed))
    return (await readShares(session, shareFile)).map((share) => ({ share }));
  // Nothing to ask a person for; where there is nothing to unseal, the service says why.
  if (asked && (!initialized || !sealed || seal.type === 'file')) return [{}];
  return [{ passphrase: await readPassphrase(session, options) }];
}

async function finished(session: Session, client: Client, started: Rewrap): Promise<Rewrap> {
  const progress = createProgress(session.terminal, 'rewrap');
  let job: Rewrap | null = started;
  try {
    while (job !== null && job.id === started.id && job.state === 'running') {
      progress.update(job.done, job.total);
      await sleep(POLL_MS);
      ({ job } = await client.get<{ job: Rewrap | null }>('/v1/sys/rewrap'));
    }
  } finally {
    progress.end();
  }
  return job ?? started;
}

function rewrapText({ id, state, term, total, done, failed, startedAt, finishedAt }: Rewrap): string {
  return details([
    ['rewrap', id],
    ['state', state],
    ['to term', String(term)],
    ['done', `${done} of ${total}`],
    ['failed', failed === 0 ? undefined : `${failed} do not open`],
    ['started', startedAt],
    ['finished', finishedAt],
  ]);
}
