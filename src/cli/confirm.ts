import { createInterface } from 'node:readline/promises';
import { CountersignError } from '../errors.ts';
import type { Terminal } from './terminal.ts';

/**
 * Goes on only when the person types the name of what is at stake. Throws `invalid_request` for anything else, and where
 * there is nobody to ask.
 */
export async function confirmByName(name: string, yes: boolean, terminal: Terminal): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !terminal.interactive) {
    throw new CountersignError('invalid_request', 'there is no terminal to ask on: give --yes');
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const typed = await asking.question(`Type ${name} to go on: `);
    if (typed.trim() !== name)
      throw new CountersignError('invalid_request', 'that is not its name: nothing was done');
  } finally {
    asking.close();
  }
}
