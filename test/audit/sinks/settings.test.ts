import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ENTRY_KINDS } from '../../../src/audit/entry.ts';
import { sinksSchema, type SinkSettings } from '../../../src/audit/sinks/settings.ts';
import { parseWith } from '../../../src/schema.ts';

const FILE = { name: 'lines', type: 'file', path: 'audit.jsonl' };
const SYSLOG = { name: 'siem', type: 'syslog', host: 'logs.example', ca: '/etc/ca.pem' };
const WEBHOOK = { name: 'soc', type: 'webhook', url: 'https://soc.example/', secretFiles: ['soc.secret'] };

const parse = (...sinks: readonly object[]): SinkSettings[] => parseWith(sinksSchema, sinks, 'audit.sinks');

describe('settings of sinks', () => {
  it('have defaults, and absolute paths', () => {
    expect(parse(FILE, SYSLOG, WEBHOOK)).toEqual([
      { ...FILE, path: path.resolve('audit.jsonl'), projection: 'plain', from: 'now' },
      { ...SYSLOG, projection: 'plain', from: 'now', port: 6514, facility: 13, timeoutSeconds: 30 },
      {
        ...WEBHOOK,
        secretFiles: [path.resolve('soc.secret')],
        projection: 'plain',
        from: 'now',
        format: 'json',
        timeoutSeconds: 15,
      },
    ]);
  });

  it('have kinds of entries, each once, of groups and of names', () => {
    for (const sink of [FILE, SYSLOG, WEBHOOK]) {
      const [{ kinds = [] } = {}] = parse({ ...sink, kinds: ['seal.*', 'seal.sealed', 'break_glass'] });
      expect(kinds.toSorted()).toEqual([
        'break_glass',
        ...ENTRY_KINDS.filter((kind) => kind.startsWith('seal.')).toSorted(),
      ]);
    }
  });

  it.each(['https://soc.example/a', 'http://127.0.0.1:8080/', 'http://localhost/', 'http://[::1]:1/'])(
    'take %s as a URL',
    (url) => expect(parse({ ...WEBHOOK, url })).toHaveLength(1),
  );

  it.each([
    ['a name with capitals', [{ ...FILE, name: 'Lines' }], /0\.name must be 1 to 31/],
    ['two of one name', [FILE, { ...SYSLOG, name: 'lines' }], /1\.name is the name of another sink/],
    ['two of one file', [FILE, { ...FILE, name: 'more' }], /1\.path is the file of another sink/],
    ['an unknown type', [{ ...FILE, type: 'udp' }], /0\.type must be one of file, syslog, webhook/],
    ['no type', [{ name: 'lines' }], /0\.type is required/],
    ['an unknown field', [{ ...FILE, mode: '0644' }], /0\.mode is not a known field/],
    ['a secret in place of its file', [{ ...WEBHOOK, secret: 'x' }], /0\.secret is not a known field/],
    ['a webhook without a secret', [{ ...WEBHOOK, secretFiles: [] }], /0\.secretFiles must have at least 1/],
    ['three secrets', [{ ...WEBHOOK, secretFiles: ['a', 'b', 'c'] }], /0\.secretFiles must have at most 2/],
    ['plain HTTP to elsewhere', [{ ...WEBHOOK, url: 'http://soc.example/' }], /0\.url must be an https URL/],
    ['a password in a URL', [{ ...WEBHOOK, url: 'https://a:b@soc.example/' }], /0\.url must be an https URL/],
    ['a file as a URL', [{ ...WEBHOOK, url: 'file:///etc/passwd' }], /0\.url must be an https URL/],
    ['CEF as JSON', [{ ...WEBHOOK, projection: 'cef' }], /0\.projection cef is not JSON/],
    ['syslog without a CA', [{ ...SYSLOG, ca: undefined }], /0\.ca is required/],
    ['a certificate without its key', [{ ...SYSLOG, cert: 'c' }], /0\.key is required: cert and key/],
    ['a key without its certificate', [{ ...WEBHOOK, key: 'k' }], /0\.cert is required: cert and key/],
    ['a facility that there is not', [{ ...SYSLOG, facility: 24 }], /0\.facility must be at most 23/],
    ['required without a limit', [{ ...FILE, required: {} }], /0\.required must have maxLagEntries/],
    [
      'required of everything',
      [{ ...FILE, required: { maxLagEntries: 0 } }],
      /maxLagEntries must be at least/,
    ],
    [
      'a kind that there is not',
      [{ ...FILE, kinds: ['sign', 'key.craeted'] }],
      /0\.kinds\.1 is not a kind of entry.*; the nearest is key\.created$/,
    ],
    ['a group that there is not', [{ ...FILE, kinds: ['keys.*'] }], /0\.kinds\.0 .*the nearest is key\.\*$/],
    ['a star in the middle', [{ ...FILE, kinds: ['key.*ed'] }], /0\.kinds\.0 is not a kind of entry/],
    ['a star alone', [{ ...FILE, kinds: ['*'] }], /0\.kinds\.0 is not a kind of entry/],
    ['no kinds at all', [{ ...FILE, kinds: [] }], /0\.kinds must have at least 1/],
    ['17 sinks', Array.from({ length: 17 }, (_, i) => ({ ...SYSLOG, name: `s${i}` })), /at most 16/],
  ])('refuse %s', (_what, sinks, problem) => {
    expect(() => parse(...sinks)).toThrow(problem);
  });

  it('take CEF where each line stands alone', () => {
    expect(parse({ ...WEBHOOK, projection: 'cef', format: 'ndjson' })[0]?.projection).toBe('cef');
  });
});
