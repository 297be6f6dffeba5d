import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { expect, test } from 'vitest';
import { parseNote, verifyNote } from '../../src/audit/tree/note.ts';
import {
  expectStatus,
  makeDirectory,
  startService,
  until,
  type Problem,
  type RunningService,
} from '../service.ts';
import { runCli } from '../cli/run.ts';
import { statusOf } from './witnessed.ts';

const LONG = 20_000;

const sign = async (service: RunningService): Promise<{ status: number; body: Problem }> =>
  await service.demo.post('/v1/keys/demo/sign/message', { message: 'm' });

test('checkpoints are kept outside, up to the stop; an older database that is put back is noticed at its start', async () => {
  const data = makeDirectory();
  const outside = makeDirectory();
  const directory = path.join(outside, 'all');
  const file = path.join(outside, 'log.jsonl');
  mkdirSync(directory);
  const config = path.join(outside, 'countersign.yaml');
  const to = [
    { type: 'file', name: 'line', path: file },
    { type: 'directory', name: 'each', path: directory },
    {
      type: 's3',
      name: 'dead',
      url: 'http://127.0.0.1:1/b',
      region: 'eu-1',
      credentialsFile: path.join(outside, 'x'),
    },
  ];
  writeFileSync(config, stringify({ audit: { anchors: { everySeconds: 1, to } } }));
  const start = async (): Promise<RunningService> => await startService({ data, args: ['--config', config] });

  let service = await start();
  const vkey = expectStatus(200, await service.admin.get<string>('/v1/audit/key')).trim();
  await service.stop();
  const copy = path.join(makeDirectory(), 'copy');
  cpSync(data, copy, { recursive: true });
  service = await start();
  for (let i = 0; i < 5; i++) expect((await sign(service)).status).toBe(200);
  const { size } = (await statusOf(service)).audit;
  expect(await until(async () => (await statusOf(service)).audit.anchored.size >= size, LONG)).toBe(true);
  const { audit, ready } = await statusOf(service);
  expect(ready).toBe(true);
  expect(audit.anchored.anchors.map(({ name }) => name)).toEqual(['line', 'each', 'dead']);
  expect(audit.anchored.anchors[2]?.problem).toContain('cannot be read as JSON');
  expect(audit.exposed.entries).toBeLessThan(size);
  await service.stop();

  const kept = readdirSync(directory).toSorted();
  const newest = parseNote(readFileSync(path.join(directory, kept.at(-1)!), 'utf8'));
  expect(verifyNote(newest, vkey)).toBe(true);
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const { note: inFile } = JSON.parse(lines.at(-1)!) as { note: string };
  expect(parseNote(inFile).text).toBe(newest.text);
  // The entry of the stop is among them.
  const trusted = path.join(outside, 'trusted');
  writeFileSync(trusted, inFile);
  const verified = await runCli(['audit', 'verify', '--data', data, '--vkey', vkey, '--trusted', trusted]);
  expect(verified.stdout).toMatch(/^entries after the checkpoint +0$/m);

  rmSync(data, { recursive: true });
  cpSync(copy, data, { recursive: true });
  service = await start();
  const refused = await sign(service);
  expect(refused.status).toBe(503);
  expect(refused.body.detail).toMatch(
    /^anchor (?:line|each) keeps a checkpoint over \d+ entries of this log/,
  );
  const state = await service.client().get<{ reasons: string[] }>('/readyz');
  expect(state.status).toBe(503);
  expect(state.body.reasons.join()).toContain('an older database was put back');
  expect(readdirSync(directory).toSorted()).toEqual(kept);
  expectStatus(200, await service.admin.post('/v1/audit/split-view/acknowledge', { reason: 'restored' }));
  expect((await sign(service)).status).toBe(200);
  await service.stop();
});
