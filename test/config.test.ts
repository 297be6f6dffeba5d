import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(text: string): string {
  const name = path.join(folder, 'countersign.yaml');
  writeFileSync(name, text);
  return name;
}

describe('configuration', () => {
  it('has defaults that work', () => {
    expect(loadConfig({}, {})).toEqual({
      data: path.resolve('data'),
      listen: { host: '127.0.0.1', port: 8700 },
      seal: 'file',
      demo: true,
      logLevel: 'info',
    });
  });

  it('takes flags over environment over file', () => {
    const config = file('listen: 127.0.0.1:1\nseal: passphrase\nlogLevel: error\n');
    const environment = { COUNTERSIGN_LISTEN: '127.0.0.1:2', COUNTERSIGN_LOG_LEVEL: 'warn' };
    const loaded = loadConfig({ config, listen: '127.0.0.1:3' }, environment);
    expect(loaded).toMatchObject({ listen: { port: 3 }, seal: 'passphrase', logLevel: 'warn' });
  });

  it.each(['127.0.0.1:0', '[::1]:8700', 'localhost:8700', '127.1.2.3:80'])('listens on %s', (listen) => {
    expect(loadConfig({ listen }, {}).listen.host).not.toBe('');
  });

  it.each(['0.0.0.0:8700', '10.0.0.1:8700', '[::]:8700', 'example.org:80'])(
    'refuses plain HTTP on %s, which is not this machine',
    (listen) => expect(() => loadConfig({ listen }, {})).toThrow(/not a loopback address/),
  );

  it.each(['8700', '127.0.0.1', '127.0.0.1:99999', ':8700', ''])('refuses %j as an address', (listen) => {
    expect(() => loadConfig({ listen }, {})).toThrow(/listen/);
  });

  it('names what it does not know', () => {
    expect(() => loadConfig({ config: file('lisen: 127.0.0.1:1\n') }, {})).toThrow(
      /lisen is not a known field/,
    );
    expect(() => loadConfig({ config: path.join(folder, 'none.yaml') }, {})).toThrow(/cannot be read/);
    expect(() => loadConfig({}, { COUNTERSIGN_SEAL: 'shamir' })).toThrow(/seal/);
    expect(() => loadConfig({ seal: 'foo' }, {})).toThrow(/the command line is not valid: seal/);
    expect(() => loadConfig({ logLevel: 'loud' }, {})).toThrow(/logLevel/);
    expect(() => loadConfig({ data: '' }, {})).toThrow(/data/);
  });
});
