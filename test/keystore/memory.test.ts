import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sealSecret, type SealedIdentity } from '../../src/keystore/envelope.ts';

const KEYS = 500;
const CHUNK = 2 ** 20;
const SECRET_LENGTH = 32;
/** Every secret ends in these bytes, which the child gets in encrypted form only. */
const marker = randomBytes(16);

interface Found {
  readonly wholes: number;
  readonly halves: number;
}

/** How many of the secrets a process has in its writable memory, whole or their second half only. */
function search(pid: number, secrets: ReadonlySet<string>): Found {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(CHUNK + SECRET_LENGTH - 1);
  const found = { wholes: 0, halves: 0 };
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      const end = BigInt(`0x${to}`);
      for (let at = BigInt(`0x${from}`); at < end; at += BigInt(CHUNK)) {
        const wanted = Number(end - at < BigInt(buffer.length) ? end - at : BigInt(buffer.length));
        const read = readSync(memory, buffer, 0, wanted, at);
        const bytes = buffer.subarray(0, read);
        for (let hit = bytes.indexOf(marker); hit >= 0; hit = bytes.indexOf(marker, hit + 1)) {
          const whole = bytes.subarray(Math.max(0, hit + marker.length - SECRET_LENGTH), hit + marker.length);
          if (secrets.has(whole.toString('hex'))) found.wholes += 1;
          else found.halves += 1;
        }
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

function canReadOtherProcesses(): boolean {
  try {
    closeSync(openSync(`/proc/${process.ppid}/mem`, 'r'));
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!canReadOtherProcesses())('memory (skipped where /proc/<pid>/mem is not readable)', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'countersign-memory-'));
  const file = path.join(folder, 'job.json');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function scan(mode: 'wipe' | 'leak'): Promise<Found> {
    const identity: SealedIdentity = {
      keyId: 'memory',
      version: 1,
      curve: 'secp256k1',
      address: `0x${'00'.repeat(20)}`,
    };
    const kek = randomBytes(32);
    const secrets = Array.from({ length: KEYS }, () => Buffer.concat([randomBytes(16), marker]));
    const blobs = secrets.map((secret) => sealSecret(kek, 1, identity, secret).toString('hex'));
    writeFileSync(file, JSON.stringify({ kek: kek.toString('hex'), identity, blobs }));
    const child = fork(path.join(import.meta.dirname, 'memory-child.ts'), [file, mode], {
      execArgv: ['--expose-gc'],
    });
    try {
      await once(child, 'message');
      return search(child.pid ?? 0, new Set(secrets.map((secret) => secret.toString('hex'))));
    } finally {
      child.kill('SIGKILL');
    }
  }

  it('holds opened secrets until they are wiped, and no copy afterwards', async () => {
    expect((await scan('leak')).wholes).toBeGreaterThanOrEqual(KEYS);
    const { wholes, halves } = await scan('wipe');
    expect(wholes).toBe(0);
    // When V8 leaves optimised code it saves the vector registers, and the last block may still be in one.
    expect(halves).toBeLessThan(KEYS / 100);
  });
});
