import type { Command } from 'commander';
import type { WitnessPolicy } from '../audit/verify/witnessed.ts';
import { CountersignError } from '../errors.ts';
import { collect, count } from './options.ts';

export interface WitnessFlags {
  readonly witness?: readonly string[];
  readonly quorum?: number;
}

export function withWitnessOptions(command: Command): Command {
  return command
    .option('--witness <vkey>', 'a witness whose cosignature counts; repeatable', collect)
    .option('--quorum <number>', 'how many of them must have cosigned; all when absent', count);
}

/** What cosignatures are demanded; undefined when none are. */
export function witnessPolicy({ witness, quorum }: WitnessFlags): WitnessPolicy | undefined {
  if (witness !== undefined) return { vkeys: witness, quorum: quorum ?? witness.length };
  if (quorum === undefined) return undefined;
  throw new CountersignError('invalid_request', '--quorum is of witnesses: name them with --witness');
}
