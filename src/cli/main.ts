import process, { env } from 'node:process';
import { CommanderError } from 'commander';
import { describeFailure, exitCodeOf } from './failure.ts';
import { createProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

const terminal = processTerminal(process);

// Whoever reads the output may stop reading, as `head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await createProgram({
    terminal,
    environment: env,
    setExitCode: (code) => void (process.exitCode = code),
  }).parseAsync();
} catch (error) {
  // Commander has said what it is.
  if (error instanceof CommanderError) process.exitCode = error.exitCode;
  else {
    terminal.err(describeFailure(error));
    process.exitCode = exitCodeOf(error);
  }
}
