import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  entryOf,
  expectStatus,
  logOf,
  makeDirectory,
  startService,
  type RunningService,
  type SignAnswer,
} from '../service.ts';
import { cliFor, jsonOf, runCli, type Cli, type Ran } from './run.ts';

let service: RunningService;
let cli: Cli;
let vkey: string;
let folder: string;
let signed: SignAnswer;

const file = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  service = await startService();
  folder = makeDirectory();
  cli = cliFor(service.url, path.join(service.data, 'admin.token'));
  vkey = (await cli('audit key')).stdout.trimEnd();
  for (let i = 0; i < 5; i++) {
    signed = expectStatus(
      200,
      await service.demo.post<SignAnswer>('/v1/keys/demo/sign/message', { message: `m${i}` }),
    );
  }
  writeFileSync(file('answer.json'), JSON.stringify(signed));
  jsonOf(await cli(`audit proof ${signed.receipt.index} --output ${file('entry.tlog-proof')} --json`));
});
afterAll(async () => await service.stop());

/** Without a service, a token or anything else but the files. */
async function verify(...flags: string[]): Promise<Ran> {
  return await runCli(['audit', 'proof', 'verify', file('entry.tlog-proof'), '--vkey', vkey, ...flags]);
}

describe('audit proof', () => {
  it('prints what the service gives', async () => {
    const { stdout, code } = await cli(`audit proof ${signed.receipt.index}`);
    expect(code).toBe(0);
    expect(stdout).toBe(readFileSync(file('entry.tlog-proof'), 'utf8'));
    const { proof } = jsonOf(await cli(`audit proof ${signed.receipt.index} --json`)) as { proof: string };
    expect(proof).toBe(stdout);
    const saved = await cli(`audit proof ${signed.receipt.index} --output ${file('again')}`);
    expect(saved.stdout).toBe(`the proof of entry ${signed.receipt.index} is in ${file('again')}\n`);
    expect(readFileSync(file('again'), 'utf8')).toBe(stdout);
  });

  it('says which entry there is not, and what is no index', async () => {
    const missing = await cli('audit proof 9999');
    expect([missing.code, missing.stderr]).toEqual([1, expect.stringContaining('the log has no entry 9999')]);
    expect((await cli('audit proof x')).stderr).toContain('an index is a whole number from 0');
    const nowhere = await cli(`audit proof 0 --output ${file('no/where')}`);
    expect(nowhere.stderr).toContain('the proof cannot be written to');
  });
});

describe('audit proof verify', () => {
  it('accepts the receipt of the answer, the leaf hash, the entry’s bytes and the entry as it is shown', async () => {
    const { index, leafHash } = signed.receipt;
    const log = logOf(service.data);
    const entry = log.all()[index]!;
    log.close();
    expect(entryOf(entry).index).toBe(index);
    writeFileSync(file('entry'), entry.bytes);
    writeFileSync(file('entry.jsonl'), Buffer.concat([entry.bytes, Buffer.from('\n')]));
    writeFileSync(file('shown.json'), (await cli(`audit show ${index} --json`)).stdout);
    for (const flags of [
      ['--receipt', file('answer.json')],
      ['--leaf-hash', leafHash],
      ['--entry', file('entry')],
      ['--entry', file('entry.jsonl')],
      ['--entry', file('shown.json')],
    ]) {
      const { code, stdout, stderr } = await verify(...flags);
      expect([code, stderr], flags.join(' ')).toEqual([0, '']);
      expect(stdout).toMatch(/^OK: the entry is in the log\n/);
      expect(stdout).toContain(leafHash);
      expect(jsonOf(await verify(...flags, '--json'))).toMatchObject({
        ok: true,
        index,
        leafHash,
        origin: vkey.split('+')[0],
      });
    }
  });

  it('refuses another entry, another key and a proof that was changed', async () => {
    const { index } = signed.receipt;
    const other = { ...signed, receipt: { index, leafHash: '00'.repeat(32) } };
    writeFileSync(file('other.json'), JSON.stringify(other));
    const failed = await verify('--receipt', file('other.json'));
    expect([failed.code, failed.stdout]).toEqual([1, '']);
    expect(failed.stderr).toContain('the proof does not hold: its path does not lead from this entry');

    writeFileSync(
      file('other.json'),
      JSON.stringify({ ...signed, receipt: { ...signed.receipt, index: 0 } }),
    );
    const moved = await verify('--receipt', file('other.json'));
    expect(moved.stderr).toContain(`it is of entry ${index}, and the receipt is of entry 0`);

    const shown = JSON.parse((await cli(`audit show ${index} --json`)).stdout) as {
      entry: { outcome: string };
    };
    shown.entry.outcome = 'denied';
    writeFileSync(file('other.json'), JSON.stringify(shown));
    expect((await verify('--entry', file('other.json'))).code).toBe(1);

    const stranger = 'example.org/log+e7d4d0c5+AAAA';
    const flags = ['--vkey', stranger, '--receipt', file('answer.json')];
    const unsigned = await runCli(['audit', 'proof', 'verify', file('entry.tlog-proof'), ...flags]);
    expect(unsigned.code).toBe(1);

    const proof = readFileSync(file('entry.tlog-proof'), 'utf8').split('\n');
    writeFileSync(file('short.tlog-proof'), proof.toSpliced(2, 1).join('\n'));
    const short = await runCli([
      'audit',
      'proof',
      'verify',
      file('short.tlog-proof'),
      '--vkey',
      vkey,
      '--receipt',
      file('answer.json'),
    ]);
    expect([short.code, short.stderr]).toEqual([1, expect.stringContaining('the proof does not hold')]);
  });

  it('wants to be told one thing that the proof is of, and the key', async () => {
    expect((await verify()).stderr).toContain('with one of --entry, --leaf-hash and --receipt');
    const both = await verify('--leaf-hash', '00'.repeat(32), '--receipt', file('answer.json'));
    expect(both.stderr).toContain('with one of --entry, --leaf-hash and --receipt');
    expect((await verify('--leaf-hash', 'xyz')).stderr).toContain('64 lower-case hex digits');
    writeFileSync(file('other.json'), '{"receipt":{"index":"1"}}');
    expect((await verify('--receipt', file('other.json'))).stderr).toContain('receipt.index must be');
    expect((await verify('--receipt', file('missing.json'))).stderr).toContain('cannot be read');
    const keyless = ['audit', 'proof', 'verify', file('entry.tlog-proof'), '--leaf-hash', '00'.repeat(32)];
    expect((await runCli(keyless)).stderr).toContain("required option '--vkey <vkey>'");
  });
});
