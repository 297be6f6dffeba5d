import { Option, type Command } from 'commander';
import type { Status } from './answers.ts';
import type { Client } from './client.ts';
import { EXIT } from './failure.ts';
import { readSecret, secretToString } from './secrets.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details, printable, printableJson } from './table.ts';

const PASSPHRASE = 'the passphrase';
const PASSPHRASE_OPTION = '--passphrase-file';

/** status, init, unseal, seal, openapi. */
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

  addCommand(
    program,
    'init',
    'make the root keyring, sealed with a passphrase; once in the life of a data directory',
  )
    .option(
      `${PASSPHRASE_OPTION} <file>`,
      'at least 12 characters; - for standard input; asked for when absent',
    )
    .addOption(
      new Option('--kdf <name>', 'how the passphrase becomes a key').choices([
        'scrypt',
        'pbkdf2',
        'argon2id',
      ]),
    )
    .action(
      async ({ passphraseFile: file, kdf }: { passphraseFile?: string; kdf?: string }, command: Command) => {
        const session = openSession(host, command);
        const client = session.client();
        const secret = await readSecret(
          { name: PASSPHRASE, option: PASSPHRASE_OPTION, file, confirm: true },
          session.terminal,
        );
        const passphrase = secretToString(secret, PASSPHRASE);
        const seal = { type: 'passphrase', passphrase, ...(kdf !== undefined && { kdf: { kdf } }) };
        printStatus(session, client, await client.post('/v1/sys/init', { seal }));
      },
    );

  addCommand(program, 'unseal', 'open the root keyring, so that keys can sign')
    .option(`${PASSPHRASE_OPTION} <file>`, '- for standard input; asked for when absent')
    .action(async ({ passphraseFile }: { passphraseFile?: string }, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const body = await unsealBody(session, client, passphraseFile);
      printStatus(session, client, await client.post('/v1/sys/unseal', body));
    });

  addCommand(program, 'seal', 'wipe every key from memory, until somebody unseals').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      printStatus(session, client, await client.post('/v1/sys/seal', {}));
    },
  );

  addCommand(program, 'openapi', 'the OpenAPI document of the service (needs no credential)').action(
    async (_options, command: Command) => {
      const session = openSession(host, command);
      session.print(await session.publicClient().get<object>('/openapi.json'), printableJson);
    },
  );
}

async function unsealBody(
  session: Session,
  client: Client,
  file: string | undefined,
): Promise<{ passphrase?: string }> {
  if (file === undefined) {
    const { initialized, sealed, seal } = await client.get<Status>('/v1/sys/status');
    // Nothing to ask a person for; where there is nothing to unseal, the service says why.
    if (!initialized || !sealed || seal.type === 'file') return {};
  }
  const secret = await readSecret({ name: PASSPHRASE, option: PASSPHRASE_OPTION, file }, session.terminal);
  return { passphrase: secretToString(secret, PASSPHRASE) };
}

function printStatus(session: Session, { url }: Client, status: Status): void {
  session.print(status, ({ version, seal, policy, audit, storage, reasons, time }) => {
    const lines = details([
      ['service', `${url}, version ${version}`],
      ['state', stateOf(status)],
      ['seal', seal.type === null ? undefined : seal.type],
      ['policy', policy === null ? undefined : `revision ${policy.revision}, ${policy.hash}`],
      ['audit log', `${audit.size} entries, ${audit.origin}`],
      ...audit.sinks.map((sink): [string, string] => [`audit sink ${sink.name}`, sinkText(sink)]),
      ...outsideText(audit),
      ['storage', storage.engine],
      ['time', time],
    ]);
    const notes = [
      ...reasons.map((reason) => `not ready: ${reason}`),
      ...(seal.warning === undefined ? [] : [seal.warning]),
    ];
    return [lines, ...notes.map(printable)].join('\n');
  });
}

function sinkText({ state, lagEntries, lagSeconds, lastError }: Status['audit']['sinks'][number]): string {
  if (state === 'waiting') return 'has everything';
  const behind = `${lagEntries} entries and ${Math.round(lagSeconds)} s behind`;
  return state === 'sending' || lastError === undefined ? behind : `${state}, ${behind}: ${lastError.reason}`;
}

function stateOf({ initialized, sealed, ready }: Status): string {
  if (!initialized) return 'not initialized';
  if (sealed) return 'sealed';
  return ready ? 'unsealed, ready to sign' : 'unsealed, not ready to sign';
}

/** What is kept of the log outside, and what is not yet. */
function outsideText({ exposed, witnessed, anchored }: Status['audit']): [string, string][] {
  const lines: [string, string][] = [];
  if (witnessed !== undefined) {
    const { size, time, quorum, mode, witnesses } = witnessed;
    const when = time === undefined ? '' : ` at ${time}`;
    lines.push(['witnessed', `${size} entries${when}, ${quorum} of ${witnesses.length} needed, ${mode}`]);
    lines.push(...witnesses.map((each): [string, string] => [`witness ${each.name}`, holderText(each)]));
  }
  lines.push(
    ...(anchored?.anchors ?? []).map((each): [string, string] => [`anchor ${each.name}`, holderText(each)]),
  );
  if (lines.length > 0)
    lines.push([
      'held nowhere outside',
      `${exposed.entries} entries, the oldest ${Math.round(exposed.seconds)} s old`,
    ]);
  return lines;
}

function holderText({
  size,
  problem,
}: {
  readonly size: number;
  readonly problem?: string | undefined;
}): string {
  return `${size} entries${problem === undefined ? '' : `; ${problem}`}`;
}
