import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { addClientCommands } from '../../src/cli/client-commands.ts';
import { createProgram } from '../../src/cli/program.ts';

const page = readFileSync(path.resolve(import.meta.dirname, '../../docs/cli.md'), 'utf8');
const host = {
  environment: {},
  setExitCode: () => undefined,
  terminal: {
    out: () => undefined,
    err: () => undefined,
    redraw: () => undefined,
    width: undefined,
    interactive: false,
  },
};
const program = createProgram(host);
addClientCommands(program, host);

/** Of every command; they are described once. */
const COMMON = ['--help', '--url', '--token-file', '--ca', '--client-cert', '--client-key', '--json'];

interface Leaf {
  readonly name: string;
  readonly command: Command;
}

function leavesOf(command: Command, before: readonly string[] = []): Leaf[] {
  return command.commands.flatMap((each) => {
    const names = [...before, each.name()];
    const own = isGroup(each) ? [] : [{ name: names.join(' '), command: each }];
    return [...own, ...leavesOf(each, names)];
  });
}

/** Does nothing by itself. */
function isGroup({ commands, registeredArguments }: Command): boolean {
  return commands.length > 0 && registeredArguments.length === 0;
}

function optionsOf({ options }: Command): string[] {
  return options.flatMap(({ long }) => (typeof long === 'string' ? [long] : []));
}

const leaves = leavesOf(program);
/** The section of a group of commands, or of one that is in none. */
const sections = page.split(/^## /m).slice(1);
function sectionOf(name: string): string {
  const [group = ''] = name.split(' ');
  return sections.find((section) => section.split('\n', 1)[0]?.split(/, | /).includes(group)) ?? '';
}

/** What was typed in the examples, without what the shell does with it. */
const typed = [...page.matchAll(/^\$ countersign (.*)$/gm)].map(([, line = '']) =>
  line
    .replaceAll(/\$\([^)]*\)|"[^"]*"/g, 'x')
    .replace(/ [|<&].*$/, '')
    .split(' '),
);

describe('docs/cli.md', () => {
  test('has an example of every command', () => {
    const shown = typed.map((words) => words.filter((word) => !word.startsWith('-')).join(' '));
    const missing = leaves.filter(({ name }) => !shown.some((line) => `${line} `.startsWith(`${name} `)));
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  test.each(leaves)('names every option of $name in its section', ({ name, command }) => {
    const section = sectionOf(name);
    const own = optionsOf(command).filter((option) => !COMMON.includes(option));
    expect(own.filter((option) => !new RegExp(`${option}(?![a-z-])`).test(section))).toEqual([]);
  });

  test('names the options of every command', () => {
    const table = page.slice(page.indexOf('## Rules for every command'));
    for (const option of COMMON.slice(1)) expect(table).toContain(`\`${option}\``);
  });

  test('shows no command and no option that is not there', () => {
    for (const words of typed) {
      let command: Command = program;
      const known = new Set(optionsOf(program));
      for (const word of words) {
        command = command.commands.find((each) => each.name() === word) ?? command;
        for (const option of optionsOf(command)) known.add(option);
      }
      const line = words.join(' ');
      expect({ line, group: isGroup(command) }).toEqual({ line, group: false });
      expect({ line, unknown: words.filter((word) => word.startsWith('--') && !known.has(word)) }).toEqual({
        line,
        unknown: [],
      });
    }
  });
});
