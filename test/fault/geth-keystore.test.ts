import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { computeAddress, hexlify } from 'ethers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportKeystore } from '../../src/keystore/web3-keystore.ts';

const run = promisify(execFile);
const source = path.resolve(import.meta.dirname, '../independent/geth');
const hasGo = spawnSync('go', ['version']).status === 0;

describe.skipIf(!hasGo)('go-ethereum opens an export (skipped where there is no Go toolchain)', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-geth-'));
  const program = path.join(folder, 'geth-keystore');
  const passwordFile = path.join(folder, 'password');
  const keystoreFile = path.join(folder, 'keystore.json');

  beforeAll(async () => {
    await run('go', ['build', '-o', program, '.'], { cwd: source });
  }, 600_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(['scrypt', 'pbkdf2'] as const)('derived with %s', async (kdf) => {
    const privateKey = randomBytes(32);
    const address = computeAddress(hexlify(privateKey));
    const password = 'correct horse, Pferd & 馬';
    writeFileSync(passwordFile, password);
    writeFileSync(
      keystoreFile,
      JSON.stringify(await exportKeystore(privateKey, address, Buffer.from(password), { kdf })),
    );
    const { stdout } = await run(program, [keystoreFile, passwordFile]);
    expect(stdout.trim()).toBe(address);

    writeFileSync(passwordFile, `${password} `);
    await expect(run(program, [keystoreFile, passwordFile])).rejects.toMatchObject({
      stderr: expect.stringContaining('could not decrypt key with given password'),
    });
  });
});
