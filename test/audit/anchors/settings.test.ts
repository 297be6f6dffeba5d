import { describe, expect, it } from 'vitest';
import { anchorsSchema } from '../../../src/audit/anchors/settings.ts';
import { witnessesSchema } from '../../../src/audit/witness/settings.ts';
import { parseWith } from '../../../src/schema.ts';
import { notary } from '../memory-log.ts';
import { vkeyOf, witnessKeys } from '../witness/witness-server.ts';

const [a, b] = [witnessKeys(), witnessKeys()];
const one = { vkey: vkeyOf('w.test/a', a.raw), url: 'https://w.test/prefix/' };
const two = { vkey: vkeyOf('w.test/b', b.raw), url: 'http://127.0.0.1:7000' };
const url = 'https://s3.example/bucket';

describe('the settings of witnesses', () => {
  it('have defaults', () => {
    expect(parseWith(witnessesSchema, { witnesses: [one, two], quorum: 2 })).toEqual({
      witnesses: [{ ...one, url: 'https://w.test/prefix' }, two],
      quorum: 2,
      mode: 'async',
      timeoutMs: 5_000,
    });
  });

  it.each([
    ['no witness', { witnesses: [], quorum: 1 }],
    ['no quorum', { witnesses: [one] }],
    ['a quorum of none', { witnesses: [one], quorum: 0 }],
    ['more than there are', { witnesses: [one], quorum: 2 }],
    ['another mode', { witnesses: [one], quorum: 1, mode: 'maybe' }],
    ['the key of a log', { witnesses: [{ ...one, vkey: notary('l.test').vkey }], quorum: 1 }],
    ['one key twice', { witnesses: [one, { ...two, vkey: vkeyOf('w.test/alias', a.raw) }], quorum: 1 }],
    ['one name twice', { witnesses: [one, { ...two, vkey: vkeyOf('w.test/a', b.raw) }], quorum: 1 }],
    ['a file as place', { witnesses: [{ ...one, url: 'file:///etc/passwd' }], quorum: 1 }],
    ['a password in a URL', { witnesses: [{ ...one, url: 'https://a:b@w.test' }], quorum: 1 }],
    ['a query in a URL', { witnesses: [{ ...one, url: 'https://w.test/?token=1' }], quorum: 1 }],
    ['no URL', { witnesses: [{ ...one, url: 'w.test' }], quorum: 1 }],
    ['an unknown field', { witnesses: [one], quorum: 1, trust: true }],
  ])('are refused with %s', (_what, settings) => {
    expect(() => parseWith(witnessesSchema, settings)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});

describe('the settings of anchors', () => {
  it('have defaults', () => {
    const file = { type: 'file', name: 'worm', path: '/mnt/worm.jsonl' };
    expect(parseWith(anchorsSchema, { to: [file] })).toEqual({ everySeconds: 60, to: [file] });
  });

  const s3 = { type: 's3', name: 's3', url, region: 'eu-1', credentialsFile: '/etc/s3.json' };
  it.each([
    ['no place', { to: [] }],
    ['another type', { to: [{ type: 'ftp', name: 'x', path: '/x' }] }],
    ['one name twice', { to: [s3, { ...s3, url: `${url}/other` }] }],
    ['a name with a slash', { to: [{ ...s3, name: 'a/b' }] }],
    ['an object name that is signed in two ways', { to: [{ ...s3, url: `${url}/a+b` }] }],
    ['a secret in the configuration', { to: [{ ...s3, secretAccessKey: 'x' }] }],
    ['no secret', { to: [{ type: 'webhook', name: 'hook', url, secretFiles: [] }] }],
    ['no time', { to: [s3], everySeconds: 0 }],
  ])('are refused with %s', (_what, settings) => {
    expect(() => parseWith(anchorsSchema, settings)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  });
});
