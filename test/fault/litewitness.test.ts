import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyRoot } from '../../src/audit/tree/merkle.ts';
import { countCosignatures } from '../../src/audit/tree/cosignature.ts';
import { WitnessClient } from '../../src/audit/witness/client.ts';
import { watchedLog, type WatchedLog } from '../audit/witness/watched-log.ts';
import { freePort } from '../cli/run.ts';
import { statusOf } from '../e2e/witnessed.ts';
import { expectStatus, makeDirectory, startService, until } from '../service.ts';

const run = promisify(execFile);
const source = path.resolve(import.meta.dirname, '../independent/witness');
const hasTools = [
  ['go', 'version'],
  ['ssh-keygen', '-?'],
  ['ssh-agent', '-?'],
].every(([command = '', option = '']) => spawnSync(command, [option]).error === undefined);

const NAME = 'litewitness.test/w';

describe.skipIf(!hasTools)(
  'litewitness, in Go by others (skipped where there is no Go or no ssh-agent)',
  () => {
    // A socket's path may not be long.
    const folder = mkdtempSync(path.join(tmpdir(), 'cs-lw-'));
    const database = path.join(folder, 'witness.db');
    const processes = new Set<ChildProcess>();
    let url: string;
    let vkey = '';

    beforeAll(async () => {
      const program = path.join(folder, 'litewitness');
      await run('go', ['build', '-o', program, 'filippo.io/torchwood/cmd/litewitness'], { cwd: source });

      const key = path.join(folder, 'key');
      const socket = path.join(folder, 'agent');
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
      processes.add(spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' }));
      if (!(await until(() => existsSync(socket), 10_000))) throw new Error('ssh-agent did not start');
      await run('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
      const { stdout } = await run('ssh-keygen', ['-l', '-E', 'sha256', '-f', `${key}.pub`]);

      const address = `127.0.0.1:${await freePort()}`;
      url = `http://${address}`;
      const fingerprint = stdout.split(' ')[1] ?? '';
      const place = ['-name', NAME, '-db', database, '-ssh-agent', socket, '-listen', address];
      const witness = spawn(program, [...place, '-key', fingerprint], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      processes.add(witness);
      let said = '';
      witness.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
      if (!(await until(() => said.includes('listening'), 10_000))) throw new Error(said);
      vkey = /vkey=(\S+)/.exec(said)?.[1] ?? '';
    }, 600_000);

    afterAll(() => {
      for (const child of processes) child.kill();
      rmSync(folder, { recursive: true, force: true });
    });

    /** What its operator does with a command of its own. */
    function know(logVkey: string): void {
      const origin = logVkey.slice(0, logVkey.indexOf('+'));
      const db = new DatabaseSync(database);
      db.exec('PRAGMA busy_timeout = 5000');
      db.prepare('INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)').run(
        origin,
        emptyRoot().toString('base64'),
      );
      db.prepare('INSERT INTO key (origin, key) VALUES (?, ?)').run(origin, logVkey);
      db.close();
    }

    const clientOf = (log: WatchedLog): WitnessClient => new WitnessClient({ vkey, url }, log);

    it('says its vkey in the form that is configured here', () => {
      expect(vkey).toMatch(/^litewitness\.test\/w\+[0-9a-f]{8}\+B/);
    });

    it('cosigns from size to size, and says where it stands', async () => {
      const log = watchedLog('log.test/grows');
      log.append(1);
      const client = clientOf(log);
      expect(await client.cosign(log.checkpoint())).toMatchObject({
        kind: 'refused',
        problem: expect.stringContaining('HTTP 404'),
      });
      know(log.vkey);
      for (let step = 1; step < 30; step++) {
        expect(await client.cosign(log.checkpoint())).toMatchObject({ kind: 'cosigned' });
        log.append(step);
      }
      expect(await clientOf(log).cosign(log.checkpoint())).toMatchObject({ kind: 'cosigned' });
      expect(await clientOf(log).cosign(log.checkpoint())).toMatchObject({ kind: 'cosigned' });
      expect(await clientOf(log).cosign(log.checkpoint(7))).toEqual({ kind: 'behind', size: log.size() });
    });

    it('does not trust another key of the log', async () => {
      const log = watchedLog('log.test/keys');
      log.append(3);
      know(log.vkey);
      const other = watchedLog('log.test/keys');
      other.append(3);
      expect(await clientOf(other).cosign(other.checkpoint())).toMatchObject({
        kind: 'refused',
        problem: expect.stringContaining('HTTP 403'),
      });
    });

    it.each([
      ['cut', 0],
      ['of the same size', 8],
      ['grown', 60],
    ])('is evidence against a log that was put back, and is %s', async (_what, more) => {
      const log = watchedLog(`log.test/back-${more}`);
      log.append(20);
      know(log.vkey);
      const client = clientOf(log);
      expect(await client.cosign(log.checkpoint())).toMatchObject({ kind: 'cosigned' });
      log.cut(12);
      log.append(more, 'other');
      for (const each of [client, clientOf(log)]) {
        expect(await each.cosign(log.checkpoint())).toMatchObject({ kind: 'split', evidence: { size: 20 } });
      }
    });

    it('cosigns for the real service, in strict mode', async () => {
      const data = makeDirectory();
      const first = await startService({ data });
      know(expectStatus(200, await first.admin.get<string>('/v1/audit/key')).trim());
      await first.stop();
      const config = path.join(makeDirectory(), 'countersign.yaml');
      const witnesses = { witnesses: [{ vkey, url }], quorum: 1, mode: 'strict' };
      writeFileSync(config, stringify({ audit: { witnesses } }));
      const service = await startService({ data, args: ['--config', config] });
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, i) =>
          service.demo.post('/v1/keys/demo/sign/message', { message: `${i}` }),
        ),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      const note = expectStatus(200, await service.admin.get<string>('/v1/audit/checkpoint'));
      expect(countCosignatures(note, [vkey]).names).toEqual([NAME]);
      expect((await statusOf(service)).audit.witnessed.size).toBeGreaterThan(50);
      await service.stop();
    });
  },
);
