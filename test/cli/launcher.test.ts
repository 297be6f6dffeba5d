import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { LAUNCHER } from '../service.ts';

/** Prints what V8 was told before the program runs. */
const SHOW = `--import=data:text/javascript,console.error(process.execArgv.join('%20'))`;

function launch(memory: string | undefined): { readonly status: number | null; readonly stderr: string } {
  const { COUNTERSIGN_MEMORY: _, ...env } = process.env;
  return spawnSync(LAUNCHER, ['--version'], {
    env: { ...env, NODE_OPTIONS: SHOW, ...(memory !== undefined && { COUNTERSIGN_MEMORY: memory }) },
    encoding: 'utf8',
  });
}

const SOONER = /--max-semi-space-size=\d+ --heap-growing-percent=\d+/;

test.each([
  { memory: undefined, flags: SOONER },
  { memory: '', flags: SOONER },
  { memory: 'small', flags: SOONER },
  { memory: 'large', flags: /^(?!.*--heap-growing-percent)/ },
])('collects garbage as COUNTERSIGN_MEMORY ($memory) says', ({ memory, flags }) => {
  const { status, stderr } = launch(memory);
  expect(stderr.split('\n')[0]).toMatch(/--disable-sigusr1/);
  expect(stderr.split('\n')[0]).toMatch(flags);
  expect(status).toBe(0);
});

test('refuses a COUNTERSIGN_MEMORY that it does not know', () => {
  const { status, stderr } = launch('tiny');
  expect(stderr).toBe('countersign: COUNTERSIGN_MEMORY is small or large, or not set\n');
  expect(status).toBe(1);
});
