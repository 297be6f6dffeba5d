import type { Command } from 'commander';
import { collect } from './options.ts';

/** What is said of a key when it is made or imported. */
export interface NewKeyOptions {
  readonly tag?: readonly string[];
  readonly canary?: true;
  readonly exportable?: true;
}

export interface NewKeyFields {
  readonly tags: readonly string[];
  readonly canary?: true | undefined;
  readonly exportable?: true | undefined;
}

export function withNewKeyOptions(command: Command): Command {
  return command
    .option('--tag <tag>', 'a tag for policies to match; may be repeated', collect)
    .option('--canary', 'one that never signs, and raises an alert when somebody asks it to')
    .option('--exportable', 'one that may be exported when others consent; it cannot be said later');
}

/** As the API takes it. */
export function newKeyFields({ tag = [], canary, exportable }: NewKeyOptions): NewKeyFields {
  return { tags: tag, canary, exportable };
}
