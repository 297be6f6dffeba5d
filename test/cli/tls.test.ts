import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createLog } from '../../src/log.ts';
import { startService, type RunningService } from '../../src/main.ts';
import { makePki, type Issued, type Pki } from '../http/pki.ts';
import { makeDirectory } from '../service.ts';
import { jsonOf, runCli, type Ran } from './run.ts';

/** The service as a configuration file has it, and the command as a person runs it. */
let service: RunningService;
let pki: Pki;
let ca: Issued;
let client: Issued;
let data: string;

beforeAll(async () => {
  pki = makePki();
  data = makeDirectory();
  ca = pki.authority('ca');
  const server = pki.issue(ca, 'server', 'subjectAltName=IP:127.0.0.1');
  client = pki.issue(ca, 'client', 'subjectAltName=URI:spiffe://prod.test/backend');
  const config = path.join(pki.directory, 'countersign.yaml');
  writeFileSync(config, `tls: { cert: ${server.cert}, key: ${server.key}, clientCa: ${ca.cert} }\n`);
  const settings = loadConfig({ config, data, listen: '127.0.0.1:0' }, {});
  service = await startService(settings, createLog('silent', { write: () => undefined }));
});
afterAll(async () => {
  await service.stop();
  pki.remove();
});

const run = (args: string, env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  runCli(args.split(' '), { env: { COUNTERSIGN_URL: service.url, ...env } });
const admin = (): string => `--token-file ${path.join(data, 'admin.token')} --ca ${ca.cert}`;

test('the service is spoken to over TLS, and only with a CA that its certificate leads to', async () => {
  expect(service.url).toMatch(/^https:/);
  const good = await run(`principal list --json ${admin()}`);
  expect(jsonOf(good)).toMatchObject({ items: expect.arrayContaining([expect.anything()]) });
  const token = `--token-file ${path.join(data, 'admin.token')}`;
  const unchecked = await run(`principal list ${token}`, { NODE_TLS_REJECT_UNAUTHORIZED: '0' });
  expect([unchecked.code, unchecked.stdout]).toEqual([1, '']);
  expect(unchecked.stderr).toMatch(/cannot be reached \((?:SELF_SIGNED|UNABLE_TO)\w+\).*--ca/);
  expect((await run(`principal list ${token}`, { COUNTERSIGN_CA: ca.cert })).code).toBe(0);
});

test('a client certificate takes the place of a token, once it is registered', async () => {
  const me = `key list --json --ca ${ca.cert} --client-cert ${client.cert} --client-key ${client.key}`;
  expect((await run(me)).code).toBe(1);
  const { id } = jsonOf(await run(`principal create backend --role signer --json ${admin()}`)) as {
    id: string;
  };
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  const match = '--uri spiffe://prod.test/backend';
  const made = await run(`token certificate backend ${match} ${admin()}`);
  expect(made.stderr).toBe('');
  expect(made.stdout).toMatch(/certificate +uri:spiffe:\/\/prod\.test\/backend/);
  expect(jsonOf(await run(me))).toHaveProperty('items');
  expect((await run(`token list backend ${admin()}`)).stdout).toContain('uri:spiffe://prod.test/backend');
});

test.each([
  ['--client-cert', 'needs --client-key'],
  ['--client-key', 'needs --client-key'],
])('%s alone is refused', async (option, says) => {
  const { code, stderr } = await run(`status ${option} ${client.cert} --ca ${ca.cert}`);
  expect([code, stderr.includes(says)]).toEqual([1, true]);
});

test('a token is rotated into a new file; the one before it ends', async () => {
  await run(`principal create rotating --role signer ${admin()}`);
  const first = path.join(pki.directory, 'first.token');
  const second = path.join(pki.directory, 'second.token');
  expect((await run(`token create rotating --output ${first} ${admin()}`)).code).toBe(0);
  const use = (file: string): Promise<Ran> => run(`key list --token-file ${file} --ca ${ca.cert}`);
  const rotated = await run(
    `token rotate --overlap 0 --output ${second} --token-file ${first} --ca ${ca.cert}`,
  );
  expect(rotated.stdout).toMatch(/old one until/);
  expect(rotated.stdout).not.toContain('cs_');
  expect(statSync(second).mode & 0o777).toBe(0o600);
  expect([(await use(first)).code, (await use(second)).code]).toEqual([1, 0]);

  const credential = readFileSync(second, 'utf8').slice(3, 19);
  const byAdmin = await run(`token rotate rotating ${credential} --json ${admin()}`);
  expect(jsonOf(byAdmin)).toMatchObject({ rotatedFrom: credential });
  const again = await run(`token rotate rotating ${credential} ${admin()}`);
  expect(again.stderr).toMatch(/the last rotation is not over/);
  expect((await run(`token rotate rotating ${admin()}`)).stderr).toMatch(/which one/);
  expect((await run(`token rotate --overlap soon ${admin()}`)).stderr).toMatch(/whole seconds/);
});
