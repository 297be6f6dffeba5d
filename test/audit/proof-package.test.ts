import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { leafHash } from '../../src/audit/tree/merkle.ts';
import { formatProof } from '../../src/audit/tree/proof.ts';
import { notary } from './memory-log.ts';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const tsc = path.join(root, 'node_modules/.bin/tsc');

/** A program of somebody else, who has the built package and none of its dependencies. */
let folder: string;

const PROGRAM = `
import { verifyProof, type ProvenEntry, type Subject } from 'countersign/proof';
const [proof = '', leafHash = '', vkey = ''] = process.argv.slice(2);
const subject: Subject = { receipt: { index: 0, leafHash } };
const proven: ProvenEntry = verifyProof(proof, subject, vkey);
console.log(proven.origin, proven.index, proven.size);
`;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'proof-package-'));
  const installed = path.join(folder, 'node_modules/countersign');
  mkdirSync(installed, { recursive: true });
  cpSync(path.join(root, 'package.json'), path.join(installed, 'package.json'));
  // Types are checked by the type check; here they are written.
  const flags = ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', path.join(installed, 'dist')];
  await run(tsc, flags, { cwd: root });
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(path.join(folder, 'program.ts'), PROGRAM);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function node(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return await run(process.execPath, args, { cwd: folder });
}

describe('countersign/proof of the built package', () => {
  it('verifies a proof, without any dependency', async () => {
    const owner = notary('example.org/log');
    const leaf = leafHash(Buffer.from('entry'));
    const proof = formatProof({ index: 0, path: [], checkpoint: owner.note(1, leaf) });
    const { stdout } = await node('program.ts', proof, leaf.toString('hex'), owner.vkey);
    expect(stdout).toBe('example.org/log 0 1\n');
    await expect(node('program.ts', proof, '00'.repeat(32), owner.vkey)).rejects.toMatchObject({
      stderr: expect.stringContaining('the proof does not hold'),
    });
  });

  it('has types', async () => {
    mkdirSync(path.join(folder, 'node_modules/@types'));
    symlinkSync(path.join(root, 'node_modules/@types/node'), path.join(folder, 'node_modules/@types/node'));
    const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--types', 'node'];
    await run(tsc, [...flags, 'program.ts'], { cwd: folder });
    writeFileSync(path.join(folder, 'wrong.ts'), PROGRAM.replace('leafHash }', 'leafHash: 1 }'));
    await expect(run(tsc, [...flags, 'wrong.ts'], { cwd: folder })).rejects.toMatchObject({
      stdout: expect.stringContaining('TS2322'),
    });
  });

  it('is all that can be imported', async () => {
    for (const name of ['countersign', 'countersign/dist/main.js']) {
      await expect(node('--input-type=module', '-e', `import '${name}'`)).rejects.toMatchObject({
        stderr: expect.stringMatching(/ERR_PACKAGE_PATH_NOT_EXPORTED/),
      });
    }
  });
});
