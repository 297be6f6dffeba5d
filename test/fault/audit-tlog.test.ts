import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DATABASE_FILE } from '../../src/storage/sqlite/database.ts';
import { expectStatus, startService, type RunningService } from '../service.ts';

const run = promisify(execFile);
const source = path.resolve(import.meta.dirname, '../independent/tlog');
const hasGo = spawnSync('go', ['version']).status === 0;

/** In batches with a checkpoint each: three tiles of entries, and some. */
const BATCHES = 4;
const BATCH = 200;

describe.skipIf(!hasGo)(
  'the client of Go’s checksum database (skipped where there is no Go toolchain)',
  () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'countersign-tlog-'));
    const program = path.join(folder, 'tlog-client');
    let service: RunningService;
    let vkey: string;

    beforeAll(async () => {
      await run('go', ['build', '-o', program, '.'], { cwd: source });
      service = await startService();
      vkey = (await service.admin.get<string>('/v1/audit/key')).body.trimEnd();
      for (let batch = 0; batch < BATCHES; batch++) {
        const items = Array.from({ length: BATCH }, (_, i) => ({
          key: 'demo',
          operation: 'message',
          message: `${batch} ${i}`,
        }));
        expectStatus(200, await service.demo.post('/v1/sign/batch', { items }));
        await sleep(1_100);
      }
    }, 600_000);

    afterAll(async () => {
      await service?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    const read = async (key = vkey): Promise<string> =>
      (await run(program, [service.url, key, path.join(service.data, 'admin.token')])).stdout;

    it('finds every entry in the tree, and every checkpoint continued', async () => {
      const [, entries, checkpoints] =
        /^(\d+) entries, (\d+) checkpoints, \d+ tiles\n$/.exec(await read()) ?? [];
      expect(Number(entries)).toBeGreaterThan(BATCHES * BATCH);
      expect(Number(checkpoints)).toBeGreaterThan(BATCHES);
    });

    it('believes no other key', async () => {
      const other = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8';
      await expect(read(other)).rejects.toMatchObject({
        stderr: expect.stringContaining('checkpoint: note'),
      });
    });

    it.each([
      [
        'a bit of a stored hash',
        'UPDATE audit_nodes SET hash = $bytes WHERE level = 1 AND idx = 1',
        'SELECT hash AS bytes FROM audit_nodes WHERE level = 1 AND idx = 1',
      ],
      [
        'a bit of a leaf hash',
        'UPDATE audit_entries SET leaf_hash = $bytes WHERE idx = 300',
        'SELECT leaf_hash AS bytes FROM audit_entries WHERE idx = 300',
      ],
      [
        'a letter of an entry',
        'UPDATE audit_entries SET entry = $bytes WHERE idx = 300',
        'SELECT entry AS bytes FROM audit_entries WHERE idx = 300',
      ],
    ])('notices that %s was changed', async (_what, write, look) => {
      const db = new DatabaseSync(path.join(service.data, DATABASE_FILE));
      const { bytes } = db.prepare(look).get() as { bytes: Uint8Array };
      const changed = Buffer.from(bytes);
      changed[20]! ^= 1;
      try {
        db.prepare(write).run({ $bytes: changed });
        await expect(read()).rejects.toMatchObject({ stderr: expect.stringMatching(/^tlog-client: /) });
      } finally {
        db.prepare(write).run({ $bytes: bytes });
        db.close();
      }
      await read();
    });
  },
);
