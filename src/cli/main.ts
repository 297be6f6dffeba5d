import process, { env } from 'node:process';
import { CommanderError, type Command } from 'commander';
import { describeFailure, exitCodeOf } from './failure.ts';
import { createProgram } from './program.ts';
import type { Host } from './session.ts';
import { processTerminal } from './terminal.ts';

const terminal = processTerminal(process);
const host: Host = {
  terminal,
  environment: env,
  setExitCode: (code) => void (process.exitCode = code),
};

// Whoever reads the output may stop reading, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  const program = createProgram(host);
  if (process.argv[2] !== 'start') await addOthers(program);
  await program.parseAsync();
} catch (error) {
  // Commander has said what it is.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    terminal.err(describeFailure(error));
    process.exitCode = exitCodeOf(error);
  }
}

/** A service would keep what these load for as long as it runs. */
async function addOthers(program: Command): Promise<void> {
  const { addClientCommands } = await import('./client-commands.ts');
  addClientCommands(program, host);
}
