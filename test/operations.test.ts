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

/** Absolute paths in the example. */
const PATHS = /(?<=[ [])\/(?:etc|var)\/[\w./-]+/g;

/** The example as it stands, but for where its files and other machines are. */
function configFile(root: string): string {
  const file = path.join(root, 'countersign.yaml');
  const [settings = '', audit = ''] = example
    .replaceAll(PATHS, (name) => path.join(root, name))
    .split('\naudit:\n');
  // Identity providers are not asked for anything yet.
  const local = audit.replaceAll(/(?<=https:\/\/|host: )[\w.-]+/g, '127.0.0.1');
  writeFileSync(file, `${settings}\naudit:\n${local}`);
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
  const missing = names.filter((name) => !new RegExp(`(?:^|[ {])${name}:(?: |$)`, 'm').test(example));
  expect(missing).toEqual([]);
});

test('the service starts with the configuration in docs/operations.md', async () => {
  const root = makeDirectory();
  const ca = pki.authority('ca');
  const server = pki.issue(ca, 'server', 'subjectAltName=IP:127.0.0.1');
  const contents: Readonly<Record<string, Buffer | string>> = {
    '.crt': server.pem.cert,
    '.key': server.pem.key,
    '.secret': `whsec_${Buffer.alloc(32, 1).toString('base64')}`,
    '.authorization': 'Bearer x',
    '.json': JSON.stringify({ accessKeyId: 'a', secretAccessKey: 'b' }),
    '': 'token',
  };
  for (const [name] of example.matchAll(PATHS)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    const content = contents[path.extname(name)];
    if (content !== undefined && !name.startsWith('/var/lib/')) writeFileSync(file, content);
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
