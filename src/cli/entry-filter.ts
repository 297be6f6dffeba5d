import type { Command } from 'commander';
import type { Query } from './client.ts';

/** Options that entries are found by; all that are given must hold. */
export interface FilterFlags {
  readonly principal?: string;
  readonly key?: string;
  readonly operation?: string;
  readonly effect?: string;
  readonly kind?: string;
  readonly outcome?: string;
}

export function addFilter(command: Command): Command {
  return command
    .option('--principal <name>')
    .option('--key <name>')
    .option('--operation <operation>')
    .option('--effect <effect>', 'allow, deny or require')
    .option('--kind <kind>', 'such as sign or key.created')
    .option('--outcome <outcome>', 'done, pending, denied, refused or failed');
}

/** Of all the options of a command. */
export function filterOf({ principal, key, operation, effect, kind, outcome }: FilterFlags): Query {
  return { principal, key, operation, effect, kind, outcome };
}
