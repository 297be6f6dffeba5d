import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, copyFileSync, existsSync, readFileSync, renameSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/cli/answers.ts';
import {
  expectStatus,
  LAUNCHER,
  makeDirectory,
  startService,
  until,
  type RunningService,
} from '../service.ts';
import { cliFor, jsonOf, runCli, type Cli } from './run.ts';

let service: RunningService;
let cli: Cli;
let vkey: string;
let folder: string;

beforeAll(async () => {
  service = await startService();
  folder = makeDirectory();
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
  await signMessages(700);
  expectStatus(
    200,
    await service.demo.post('/v1/keys/demo/sign/message', { data: `0x${'ab'.repeat(40_000)}` }),
  );
  vkey = (await cli('audit key')).stdout.trimEnd();
});
afterAll(async () => await service.stop());

async function signMessages(count: number): Promise<void> {
  const items = Array.from({ length: count }, (_, i) => ({
    key: 'demo',
    operation: 'message',
    message: `m${i}`,
  }));
  expectStatus(200, await service.demo.post('/v1/sign/batch', { items }));
}

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');
const at = (name: string): string => path.join(folder, name);

describe('an archive', () => {
  const verify = async (
    file: string,
    flags = '',
  ): Promise<{ ok: boolean; size: number; firstBad?: object }> => {
    const { stdout } = await runCli(
      `audit verify --archive ${file} --vkey ${vkey} --json${flags}`.split(' '),
    );
    return JSON.parse(stdout) as { ok: boolean; size: number };
  };

  it('of a running service verifies without it, and is brought up to date by the same command', async () => {
    const file = at('log.archive');
    const first = jsonOf(await cli(`audit export --format archive --output ${file} --json`)) as {
      entries: number;
    };
    expect(first.entries).toBeGreaterThan(700);
    expect(await verify(file)).toMatchObject({
      ok: true,
      size: first.entries,
      unsignedTail: 0,
      digestsNotRecomputed: 0,
    });
    await signMessages(50);
    const second = jsonOf(await cli(`audit export --format archive --output ${file} --json`)) as {
      entries: number;
    };
    expect(second.entries).toBeGreaterThanOrEqual(first.entries + 50);
    expect(await verify(file)).toMatchObject({ ok: true, size: second.entries });
  });

  it('of a data directory is the same', async () => {
    const file = at('directory.archive');
    const ran = await runCli([
      'audit',
      'export',
      '--format',
      'archive',
      '--data',
      service.data,
      '--output',
      file,
    ]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(await verify(file)).toMatchObject({ ok: true, digestsNotRecomputed: 0 });
  });

  it('says which entry was changed in it, and that data beside one was', async () => {
    const whole = at('whole.archive');
    await cli(`audit export --format archive --output ${whole}`);
    const damage = async (sql: string): Promise<object | undefined> => {
      const file = at('damaged.archive');
      copyFileSync(whole, file);
      const db = new DatabaseSync(file);
      db.exec(sql);
      db.close();
      const report = await verify(file);
      expect(report.ok).toBe(false);
      return report.firstBad;
    };
    expect(
      await damage(
        "UPDATE audit_entries SET entry = cast(replace(entry, 'demo', 'dome') AS BLOB) WHERE idx = 300",
      ),
    ).toMatchObject({ index: 300, problem: 'leaf_hash' });
    expect(await damage('DELETE FROM audit_entries WHERE idx = 300')).toMatchObject({ problem: 'index_gap' });
    expect(await damage('UPDATE audit_data SET data = zeroblob(length(data))')).toMatchObject({
      problem: 'data_mismatch',
    });
  });

  it('is not mixed up with another log, a filter, or what is no archive', async () => {
    const other = await startService();
    try {
      const file = at('mine.archive');
      await cli(`audit export --format archive --output ${file}`);
      const theirs = cliFor(other.url, path.join(other.data, 'admin.token'));
      expect((await theirs(`audit export --format archive --output ${file}`)).stderr).toMatch(
        /archive of another log/,
      );
    } finally {
      await other.stop();
    }
    expect((await cli(`audit export --format archive --kind sign --output ${at('x')}`)).stderr).toMatch(
      /no filter/,
    );
    const text = at('text');
    appendFileSync(text, 'not an archive\n');
    expect((await runCli(['audit', 'verify', '--archive', text])).stderr).toMatch(/no archive/);
    expect((await runCli(['audit', 'verify', '--archive', at('nothing')])).stderr).toMatch(
      /there is no file/,
    );
  });
});

describe('an export', () => {
  it.each(['jsonl', 'csv', 'ocsf', 'cef'])(
    'as %s that was broken off goes on to the same file',
    async (format) => {
      const whole = at(`whole.${format}`);
      const file = at(`log.${format}`);
      const until = new Date().toISOString();
      const command = `audit export --format ${format} --until ${until} --output`;
      expect((await cli(`${command} ${whole}`)).code).toBe(0);
      expect(linesOf(whole).length).toBeGreaterThan(700);

      copyFileSync(whole, `${file}.partial`);
      truncateSync(`${file}.partial`, Math.floor(readFileSync(whole).length / 2));
      expect((await cli(`${command} ${file}`)).stderr).toMatch(/go on with it by --resume/);
      expect((await cli(`${command} ${file} --resume`)).code).toBe(0);
      expect(readFileSync(file)).toEqual(readFileSync(whole));
      expect(existsSync(`${file}.partial`)).toBe(false);
    },
  );

  it('does not write over a file that is there', async () => {
    const file = at('there');
    appendFileSync(file, 'precious');
    expect(await cli(`audit export --output ${file}`)).toMatchObject({ code: 1 });
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  it('takes filters', async () => {
    const file = at('filtered.jsonl');
    await cli(`audit export --kind key.created --output ${file}`);
    const kinds = linesOf(file).map((line) => (JSON.parse(line) as AuditEntry).entry as { kind: string });
    expect(new Set(kinds.map(({ kind }) => kind))).toEqual(new Set(['key.created']));
  });

  it('keeps what came when the service goes away', async () => {
    const going = await startService();
    try {
      const theirs = cliFor(going.url, path.join(going.data, 'admin.token'));
      const file = at('gone.jsonl');
      await theirs(`audit export --output ${file}`);
      renameSync(file, `${file}.partial`);
      await going.kill();
      const ran = await theirs(`audit export --resume --output ${file}`);
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(/nothing listens/);
      expect(linesOf(`${file}.partial`).length).toBeGreaterThan(3);
    } finally {
      await going.kill();
    }
  });
});

describe('the live tail', () => {
  it('prints what comes, and goes on after the service was away', async () => {
    const data = makeDirectory();
    const port = 18_700 + (process.pid % 1_000);
    const listen = ['--listen', `127.0.0.1:${port}`];
    let running = await startService({ data, args: listen });
    const child = spawn(LAUNCHER, ['audit', 'tail', '--from', '0', '--json'], {
      env: {
        PATH: process.env['PATH'],
        COUNTERSIGN_URL: running.url,
        COUNTERSIGN_TOKEN_FILE: path.join(data, 'admin.token'),
      },
    });
    const closed = once(child, 'close');
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    const indexes = (): number[] =>
      [...output.matchAll(/"index": (\d+),\n {2}"leafHash"/g)].map(([, index]) => Number(index));
    try {
      expect(await until(() => indexes().length > 3, 10_000)).toBe(true);
      await running.stop();
      running = await startService({ data, args: listen });
      expectStatus(
        200,
        await running
          .client(readFileSync(path.join(data, 'demo.token'), 'utf8').trim())
          .post('/v1/keys/demo/sign/message', { message: 'x' }),
      );
      expect(await until(() => output.includes('"kind": "sign"'), 15_000)).toBe(true);
      const seen = indexes();
      expect(seen).toEqual(Array.from({ length: seen.length }, (_, i) => i));
    } finally {
      child.kill('SIGKILL');
      await closed;
      await running.stop();
    }
  });
});
