import type { Command } from 'commander';
import { toHex, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { sealKeyFile } from '../keystore/seal-file.ts';
import type { Rekey } from './answers.ts';
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
import { sealText } from './status-text.ts';
import { details } from './table.ts';

interface StartOptions extends NewSealOptions {
  readonly currentPassphraseFile?: string;
  readonly currentSealKeyFile?: string;
}

interface RekeyAnswer {
  readonly rekey: Rekey;
  readonly shares?: readonly string[];
}

/** Undefined of a seal in shares, which come one by one. */
async function readCurrent(
  session: Session,
  inForce: string | null,
  { currentPassphraseFile: file, currentSealKeyFile: keyFile }: StartOptions,
): Promise<{ readonly passphrase: string } | { readonly sealKey: string } | undefined> {
  if (inForce === 'passphrase') {
    const options = file === undefined ? {} : { passphraseFile: file };
    return { passphrase: await readPassphrase(session, options, 'the passphrase in force') };
  }
  if (inForce !== 'file') return undefined;
  if (keyFile === undefined)
    throw new CountersignError(
      'invalid_request',
      'the seal in force has a key file: give --current-seal-key-file, seal.key in the data directory',
    );
  const key = sealKeyFile(keyFile).read();
  try {
    return { sealKey: toHex(key) };
  } finally {
    wipe(key);
  }
}

/** Changing the seal, one step a command. Each says what comes next. */
export function addRekeyCommands(program: Command, host: Host): void {
  const group = program.command('rekey').description('change the seal');

  addNewSealOptions(
    addCommand(group, 'start', 'make the new seal; the one in force stays until `rekey verify`'),
  )
    .option('--current-passphrase-file <file>', 'of a passphrase seal in force; - for standard input')
    .option('--current-seal-key-file <file>', 'of a seal with a key file: seal.key in the data directory')
    .action(async (options: StartOptions, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const { seal: inForce } = await client.get<{ seal: { type: string | null } }>('/v1/sys/status');
      const current = await readCurrent(session, inForce.type, options);
      const seal = await readNewSeal(session, options);
      // Of a seal in shares, the new ones come with the last of the old ones.
      const output = inForce.type === 'shamir' ? undefined : options.output;
      prepareOutput(output);
      const body = { seal, current };
      const answer = await client.post<RekeyAnswer>('/v1/sys/rekey', body);
      const written = sharesText(answer.shares, output);
      session.print(output === undefined ? answer : { rekey: answer.rekey }, ({ rekey }) =>
        [...written, ...(written.length > 0 ? [''] : []), rekeyText(rekey)].join('\n').trimStart(),
      );
    });

  addShareOption(addCommand(group, 'authorize', 'give shares of the seal in force'))
    .option('--output <directory>', 'write each new share to a new file there that only you can read')
    .action(
      async ({ shareFile, output }: { shareFile?: readonly string[]; output?: string }, command: Command) => {
        const session = openSession(host, command);
        const client = session.client();
        const shares = await readShares(session, shareFile);
        prepareOutput(output);
        let answer: RekeyAnswer | undefined;
        for (const share of shares) answer = await client.post('/v1/sys/rekey/authorize', { share });
        if (answer === undefined) return;
        const written = sharesText(answer.shares, output);
        session.print(output === undefined ? answer : { rekey: answer.rekey }, ({ rekey }) =>
          [...written, ...(written.length > 0 ? [''] : []), rekeyText(rekey)].join('\n').trimStart(),
        );
      },
    );

  addShareOption(
    addPassphraseOptions(
      addCommand(
        group,
        'verify',
        'give the new passphrase, or new shares: with enough of them the seal is changed',
      ),
      'the new passphrase',
    ),
  ).action(async (options: PassphraseOptions & { shareFile?: readonly string[] }, command: Command) => {
    const session = openSession(host, command);
    const client = session.client();
    const { rekey } = await client.get<{ rekey: Rekey | null }>('/v1/sys/rekey');
    const bodies =
      rekey?.to.type === 'passphrase'
        ? [{ passphrase: await readPassphrase(session, options, 'the new passphrase') }]
        : (await readShares(session, options.shareFile)).map((share) => ({ share }));
    let answer: { done: boolean; rekey?: Rekey } | undefined;
    for (const body of bodies) answer = await client.post('/v1/sys/rekey/verify', body);
    if (answer === undefined) return;
    session.print(answer, ({ done, rekey: left }) => {
      if (!done && left !== undefined) return rekeyText(left);
      const advice =
        rekey?.from.type === 'file' ? '\nDelete seal.key: it opens copies of the old database only.' : '';
      return `The seal is changed: what opened it before does not any more.${advice}`;
    });
  });

  addCommand(group, 'show', 'the change that is on its way').action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const answer = await session.client().get<{ rekey: Rekey | null }>('/v1/sys/rekey');
    session.print(answer, ({ rekey }) =>
      rekey === null ? 'No change of the seal is on its way.' : rekeyText(rekey),
    );
  });

  addCommand(group, 'cancel', 'leave the seal as it is').action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const answer = await session.client().post('/v1/sys/rekey/cancel', {});
    session.print(answer, () => 'Cancelled: the seal in force stays.');
  });
}

function rekeyText({ from, to, stage, have, threshold, expiresAt }: Rekey): string {
  const of = threshold === undefined ? undefined : `${have ?? 0} of ${threshold}`;
  const next =
    stage === 'authorize'
      ? 'Next: countersign rekey authorize, with shares of the seal in force'
      : `Next: countersign rekey verify, with the new ${to.type === 'shamir' ? 'shares' : 'passphrase'}`;
  return [
    details([
      ['from', sealText(from)],
      ['to', sealText(to)],
      ['stage', stage],
      ['shares', of],
      ['expires', expiresAt],
    ]),
    next,
  ].join('\n');
}
