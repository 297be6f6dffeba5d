import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { z } from 'zod';
import { loadConfig, settingsSchema } from '../src/config.ts';
import { createLog } from '../src/log.ts';
import { startService } from '../src/main.ts';
import { makePki } from './http/pki.ts';
import { makeDirectory } from './service.ts';

const text = readFileSync(path.resolve(import.meta.dirname, '../docs/operations.md'), 'utf8');
const [example = ''] = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block = '']) => block);
const pki = makePki();
afterAll(() => pki.remove());

/** The example as it stands, but for where its files are. */
function configFile(root: string): string {
  const file = path.join(root, 'countersign.yaml');
  writeFileSync(file, example.replaceAll(/(?<= )\/(?=etc\/|var\/)/g, `${root}/`));
  return file;
}

/** Names of all settings, those inside others included. */
function namesIn(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(namesIn)];
}

test('the configuration in docs/operations.md has every setting', () => {
  const names = namesIn(z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }));
  expect(names).toEqual(expect.arrayContaining(['listen', 'minVersion', 'tokenFile', 'perSecond']));
  for (const name of names) expect(example).toMatch(new RegExp(`(?:^|[ {])${name}:(?: |$)`, 'm'));
});

test('the service starts with the configuration in docs/operations.md', async () => {
  const root = makeDirectory();
  const ca = pki.authority('ca');
  const server = pki.issue(ca, 'server', 'subjectAltName=IP:127.0.0.1');
  const secrets = 'var/run/secrets/kubernetes.io/serviceaccount';
  for (const [name, content] of [
    ['etc/countersign/tls.crt', server.pem.cert],
    ['etc/countersign/tls.key', server.pem.key],
    ['etc/countersign/client-ca.crt', ca.pem.cert],
    [`${secrets}/ca.crt`, ca.pem.cert],
    [`${secrets}/token`, 'token'],
    ['var/lib/keep', ''],
  ] as const) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const config = loadConfig({ config: configFile(root), listen: '127.0.0.1:0' }, {});
  expect(config).toMatchObject({
    data: path.join(root, 'var/lib/countersign'),
    seal: 'passphrase',
    demo: false,
  });
  const service = await startService(config, createLog('silent', { write: () => undefined }));
  try {
    expect(service.url).toMatch(/^https:/);
    expect(service.notReady()).toEqual(['not initialized: countersign init (POST /v1/sys/init)']);
  } finally {
    await service.stop();
  }
});
