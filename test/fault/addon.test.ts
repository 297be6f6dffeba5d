import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const WITHOUT = ['node_modules/secp256k1/prebuilds', 'node_modules/secp256k1/build'];

let copy: string;
beforeAll(() => {
  copy = mkdtempSync(path.join(tmpdir(), 'countersign-addon-'));
  for (const name of ['bin', 'src', 'node_modules', 'package.json']) {
    // Links where the file system can: it is half a gigabyte.
    const linked = spawnSync('cp', ['-al', path.join(ROOT, name), path.join(copy, name)]);
    if (linked.status !== 0) execFileSync('cp', ['-a', path.join(ROOT, name), path.join(copy, name)]);
  }
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

function start(): { status: number | null; output: string } {
  const data = path.join(copy, 'data');
  const { status, stdout, stderr } = spawnSync(
    path.join(copy, 'bin/countersign'),
    ['start', '--data', data, '--listen', '127.0.0.1:0'],
    { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL', env: { PATH: process.env['PATH'] } },
  );
  return { status, output: stdout + stderr };
}

test('without the native addon nothing starts, and JavaScript does not take its place', () => {
  for (const folder of WITHOUT) rmSync(path.join(copy, folder), { recursive: true, force: true });
  const { status, output } = start();
  expect(status).not.toBeNull();
  expect(status).not.toBe(0);
  expect(output).toMatch(/secp256k1|native/i);
  expect(output).not.toMatch(/listens on/);
  expect(readdirSync(copy)).not.toContain('data');
});
