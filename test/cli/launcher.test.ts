import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { LAUNCHER } from '../service.ts';

/** Prints what V8 was told before the program runs. */
const SHOW = `--import=data:text/javascript,console.error(process.execArgv.join('%20'))`;

function launch(
  command: string,
  memory: string | undefined,
): { readonly status: number | null; readonly stderr: string } {
  const { COUNTERSIGN_MEMORY: _, ...env } = process.env;
  return spawnSync(LAUNCHER, [command, '--help'], {
    env: { ...env, NODE_OPTIONS: SHOW, ...(memory !== undefined && { COUNTERSIGN_MEMORY: memory }) },
    encoding: 'utf8',
  });
}

const flagsOf = (command: string, memory: string | undefined): string => {
  const { status, stderr } = launch(command, memory);
  expect(status).toBe(0);
  return stderr.split('\n')[0] ?? '';
};

const growth = (flags: string): number =>
  Number(/--heap-growing-percent=(\d+)/.exec(flags)?.[1] ?? Number.POSITIVE_INFINITY);

test('a service collects garbage as soon as COUNTERSIGN_MEMORY says, and no other command', () => {
  const [small, unset, medium, large, other] = [
    flagsOf('start', 'small'),
    flagsOf('start', undefined),
    flagsOf('start', 'medium'),
    flagsOf('start', 'large'),
    flagsOf('key', 'small'),
  ] as const;
  expect(growth(small)).toBeLessThan(growth(medium));
  expect(growth(medium)).toBeLessThan(Infinity);
  expect(unset).toBe(medium);
  expect(growth(large)).toBe(Infinity);
  expect(other).toBe(large);
  expect(large).toMatch(/--disable-sigusr1/);
});

test('a COUNTERSIGN_MEMORY that is not known is refused', () => {
  const { status, stderr } = launch('start', 'tiny');
  expect(stderr).toBe('countersign: COUNTERSIGN_MEMORY is small, medium or large\n');
  expect(status).toBe(1);
});
