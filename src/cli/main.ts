import { Command } from 'commander';
import { start } from './start.ts';
import type { Terminal } from './terminal.ts';

const terminal: Terminal = {
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  interactive: process.stderr.isTTY,
};

const program = new Command('countersign');
program
  .command('start')
  .option('--config <file>')
  .option('--data <directory>')
  .option('--listen <host:port>')
  .option('--seal <type>')
  .option('--no-demo')
  .option('--log-level <level>')
  .action(async (flags) => start(flags, process.env, terminal));

try {
  await program.parseAsync();
} catch (error) {
  terminal.err(`countersign: ${error instanceof Error ? error.message : 'unknown error'}`);
  process.exitCode = 1;
}
