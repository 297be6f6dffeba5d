import { writeFileSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { CountersignError } from '../errors.ts';
import { verifyProof, type ProvenEntry } from '../audit/verify/proof.ts';
import { requireCosigned } from '../audit/verify/witnessed.ts';
import { readBytes } from './json-file.ts';
import { index } from './options.ts';
import type { SubjectFlags } from './proof-subject.ts';
import { whyNot } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details } from './table.ts';
import { withWitnessOptions, witnessPolicy, type WitnessFlags } from './witness-policy.ts';

interface VerifyFlags extends SubjectFlags, WitnessFlags {
  readonly vkey: string;
}

export function addProofCommands(group: Command, host: Host): void {
  const proof = addCommand(group, 'proof', 'fetch the proof that an entry is in the log, or verify one')
    .argument('<entry>', 'its index', index)
    .option('--output <file>', 'write the proof there (its name should end in .tlog-proof)')
    .action(async (entry: number, { output }: { output?: string }, command: Command) => {
      const session = openSession(host, command);
      const text = await session.client().getText(`/v1/audit/entries/${entry}/proof`);
      if (output !== undefined) write(output, text);
      session.print({ index: entry, ...(output === undefined ? { proof: text } : { output }) }, () =>
        output === undefined ? text.trimEnd() : `the proof of entry ${entry} is in ${output}`,
      );
    });

  const verify = addCommand(
    proof,
    'verify',
    'check a proof offline: asks no service, and trusts the verifier keys alone',
  )
    .argument('<file>', 'the proof, or - for standard input')
    .requiredOption('--vkey <vkey>', 'the verifier key that you know is the log’s: countersign audit key')
    .option('--entry <file>', 'the entry: its bytes, or what audit show --json printed of it')
    .option('--leaf-hash <hex>', 'its leaf hash', leafHashOption)
    .option('--receipt <file>', 'the answer to the signing request, with the receipt in it');
  withWitnessOptions(verify).action(async (file: string, flags: VerifyFlags, command: Command) => {
    const session = openSession(host, command);
    const { readSubject } = await import('./proof-subject.ts');
    const subject = await readSubject(flags);
    const witnesses = witnessPolicy(flags);
    const { note, ...proven } = verifyProof(await readBytes(file, file), subject, flags.vkey);
    const cosigned = witnesses && { cosigned: requireCosigned(note, witnesses) };
    session.print({ ok: true, ...proven, ...cosigned }, () => report({ ...proven, ...cosigned }));
  });
}

type Proven = Omit<ProvenEntry, 'note'> & { readonly cosigned?: readonly string[] };

function report({ index, leafHash, origin, size, root, cosigned }: Proven): string {
  const lines = details([
    ['entry', String(index)],
    ['leaf hash', leafHash],
    ['log', origin],
    ['checkpoint', `of ${size} entries, root ${root}`],
    ['cosigned by', cosigned?.join(', ')],
  ]);
  return `OK: the entry is in the log\n${lines}`;
}

function leafHashOption(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError('a leaf hash is 64 lower-case hex digits');
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    const message = `the proof cannot be written to ${file}: ${whyNot(error)}`;
    throw new CountersignError('invalid_request', message, [], error);
  }
}
