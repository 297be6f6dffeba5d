import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { expectStatus, makeDirectory, refusedStart, startService } from '../service.ts';
import { cliFor, jsonOf, runCli } from './run.ts';

const KEEP = /^a log that was cut or rolled back is shown only by a checkpoint kept elsewhere/m;

it('a log that was cut along with its checkpoints fails verification, and nothing is started on it', async () => {
  const service = await startService();
  const cli = cliFor(service.url, path.join(service.data, 'admin.token'));
  const kept = path.join(makeDirectory(), 'checkpoint');
  for (const source of ['', ` --data ${service.data}`]) {
    expect((await cli(`audit verify${source} --save ${kept}`)).stdout).toMatch(KEEP);
    const trusting = await cli(`audit verify${source} --trusted ${kept}`);
    expect(trusting.stdout).toMatch(/^OK\n/);
    expect(trusting.stdout).not.toMatch(KEEP);
    expect(jsonOf(await cli(`audit verify${source} --trusted ${kept} --json`))).toMatchObject({
      trusted: true,
    });
  }
  for (const message of ['one', 'two'])
    expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message }));
  await service.stop();

  const db = new DatabaseSync(path.join(service.data, 'countersign.db'));
  const { size } = db.prepare('SELECT size FROM audit_head').get() as { size: number };
  db.prepare('DELETE FROM audit_entries WHERE idx >= ?').run(size - 2);
  db.prepare('DELETE FROM checkpoints WHERE size > ?').run(size - 2);
  db.close();

  const { code, stdout } = await runCli(['audit', 'verify', '--data', service.data]);
  expect(code).toBe(1);
  expect(stdout).toMatch(new RegExp(`^FAILED at entries ${size - 2} to ${size - 1}: head_mismatch\n`));
  const refused = await refusedStart(['--data', service.data]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`its head counts ${size}`);
});
