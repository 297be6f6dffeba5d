import { ParsedMessage } from '@spruceid/siwe-parser';
import * as fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { SiweMessage } from '../../src/effects/effect.ts';
import { looksLikeSiwe, parseSiwe } from '../../src/effects/siwe.ts';
import { arbitraryMutation, arbitraryParts, messageOf, type Parts } from './siwe-messages.ts';

const SEED = Number(process.env['COUNTERSIGN_TEST_SEED'] ?? 20_260_101);

const ADDRESS = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

const PARTS: Parts = {
  origin: 'https://app.example.com:8443',
  address: ADDRESS,
  statement: 'I accept the terms: https://app.example.com/tos',
  uri: 'https://app.example.com/login',
  version: '1',
  chainId: '1',
  nonce: '32891756',
  issuedAt: '2026-09-30T16:25:24Z',
};

const parse = (change: Partial<Parts>) => parseSiwe(messageOf({ ...PARTS, ...change }));

describe('parseSiwe', () => {
  it('reads a message without options', () => {
    expect(parseSiwe(messageOf(PARTS))).toEqual({
      scheme: 'https',
      domain: 'app.example.com:8443',
      address: ADDRESS.toLowerCase(),
      statement: PARTS.statement,
      uri: PARTS.uri,
      version: '1',
      chainId: 1n,
      nonce: '32891756',
      issuedAt: PARTS.issuedAt,
      resources: [],
    });
  });

  it('reads a message with all options', () => {
    const options = {
      expirationTime: '2026-10-30T16:25:24.123+01:00',
      notBefore: '2026-09-30t16:25:24z',
      requestId: 'a%20b:@!',
      resources: ['ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/', 'urn:x?a=/b#c'],
    };
    expect(parse({ ...options, origin: 'example.com', statement: undefined })).toEqual({
      domain: 'example.com',
      address: ADDRESS.toLowerCase(),
      uri: PARTS.uri,
      version: '1',
      chainId: 1n,
      nonce: '32891756',
      issuedAt: PARTS.issuedAt,
      ...options,
    });
  });

  test.each<[string, Partial<Parts>]>([
    ['localhost with a port', { origin: 'localhost:3000' }],
    ['an IPv4 address', { origin: '127.0.0.1' }],
    ['an IPv6 address', { origin: '[::1]:80' }],
    ['an IPv6 address with an IPv4 tail', { origin: '[64:ff9b::192.0.2.33]' }],
    ['a future address', { origin: '[v1.a:b]' }],
    ['user information', { origin: 'https://user:pw@example.com' }],
    ['an encoded name', { origin: 'caf%C3%A9.example' }],
    ['another scheme', { origin: 'x+y-z.1://example.com' }],
    ['an address of digits only', { address: `0x${'1'.repeat(40)}` }],
    ['a statement of a space', { statement: ' ' }],
    ['an empty request id', { requestId: '' }],
    ['no resource', { resources: [] }],
    ['a URI of a scheme', { uri: 'x:' }],
    ['a rootless URI', { uri: 'did:key:z6Mk' }],
    ['a URI with an absolute path', { uri: 'file:/a//b' }],
    ['a URI with an empty authority', { uri: 'file:///a' }],
    ['a long chain id', { chainId: '9'.repeat(78) }],
    ['a leap day', { issuedAt: '2024-02-29T00:00:00Z' }],
    ['a leap day of a century', { issuedAt: '2000-02-29T23:59:59.9-23:59' }],
  ])('takes %s', (_name, change) => {
    expect(parse(change)).toBeDefined();
  });

  test.each<[string, Partial<Parts>]>([
    ['no domain', { origin: '' }],
    ['a scheme without domain', { origin: 'https://' }],
    ['a domain without host', { origin: ':443' }],
    ['user information without host', { origin: 'user@' }],
    ['user information and a port without host', { origin: 'user@:443' }],
    ['a domain with a path', { origin: 'example.com/a' }],
    ['a domain with a space', { origin: 'evil.example example.com' }],
    ['two at signs', { origin: 'a@b@example.com' }],
    ['a port of letters', { origin: 'example.com:http' }],
    ['two ports', { origin: 'example.com:1:2' }],
    ['a domain that is not ASCII', { origin: 'exаmple.com' }],
    ['a bad percent sign', { origin: 'a%2.example' }],
    ['a scheme that begins with a digit', { origin: '1a://example.com' }],
    ['an empty scheme', { origin: '://example.com' }],
    ['an IPv6 address without brackets', { origin: '::1' }],
    ['nine groups', { origin: '[1:2:3:4:5:6:7:8:9]' }],
    ['an octet of 256', { origin: '[::1.2.3.256]' }],
    ['an octet with a leading zero', { origin: '[::01.2.3.4]' }],
    ['a zone', { origin: '[fe80::1%25eth0]' }],
    ['an open bracket', { origin: '[::1' }],
    ['an address without checksum', { address: ADDRESS.toLowerCase() }],
    ['an upper-case address', { address: `0x${ADDRESS.slice(2).toUpperCase()}` }],
    ['a wrong checksum', { address: ADDRESS.replace('aA', 'Aa') }],
    ['0X', { address: ADDRESS.replace('0x', '0X') }],
    ['a short address', { address: ADDRESS.slice(0, -1) }],
    ['a short address of digits only', { address: `0x${'1'.repeat(39)}` }],
    ['a long address of digits only', { address: `0x${'1'.repeat(41)}` }],
    ['an address and a space', { address: `${ADDRESS} ` }],
    ['an empty statement', { statement: '' }],
    ['a statement of two lines', { statement: 'a\nb' }],
    ['a statement with a quote', { statement: 'a "b"' }],
    ['a statement with a percent sign', { statement: '100%' }],
    ['a statement with a tab', { statement: 'a\tb' }],
    ['a statement that is not ASCII', { statement: 'Grüezi' }],
    ['a URI without scheme', { uri: '//example.com' }],
    ['a relative URI', { uri: 'a/b' }],
    ['an empty URI', { uri: '' }],
    ['a URI with a space', { uri: 'https://a b' }],
    ['a URI with two fragments', { uri: 'https://a#b#c' }],
    ['a URI with a bracket', { uri: 'https://a/[b]' }],
    ['a URI with a bad host', { uri: 'https://[::g]/' }],
    ['version 2', { version: '2' }],
    ['version 1 and a space', { version: '1 ' }],
    ['chain id 0', { chainId: '0' }],
    ['a chain id with a leading zero', { chainId: '01' }],
    ['a chain id in hex', { chainId: '0x1' }],
    ['no chain id', { chainId: '' }],
    ['a chain id of 79 digits', { chainId: '9'.repeat(79) }],
    ['a short nonce', { nonce: '1234567' }],
    ['a nonce with a sign', { nonce: '1234567-' }],
    ['a day', { issuedAt: '2026-09-30' }],
    ['a time without offset', { issuedAt: '2026-09-30T16:25:24' }],
    ['a time without seconds', { issuedAt: '2026-09-30T16:25Z' }],
    ['a space in a time', { issuedAt: '2026-09-30 16:25:24Z' }],
    ['September 31', { issuedAt: '2026-09-31T16:25:24Z' }],
    ['February 29 of a common year', { issuedAt: '2026-02-29T16:25:24Z' }],
    ['February 29 of 2100', { issuedAt: '2100-02-29T16:25:24Z' }],
    ['month 13', { issuedAt: '2026-13-01T16:25:24Z' }],
    ['month 0', { issuedAt: '2026-00-01T16:25:24Z' }],
    ['day 0', { issuedAt: '2026-01-00T16:25:24Z' }],
    ['hour 24', { issuedAt: '2026-09-30T24:00:00Z' }],
    ['minute 60', { issuedAt: '2026-09-30T16:60:24Z' }],
    ['second 60', { issuedAt: '2016-12-31T23:59:60Z' }],
    ['an offset of 24 hours', { issuedAt: '2026-09-30T16:25:24+24:00' }],
    ['an offset of 60 minutes', { issuedAt: '2026-09-30T16:25:24+01:60' }],
    ['an empty fraction', { issuedAt: '2026-09-30T16:25:24.Z' }],
    ['a bad expiration', { expirationTime: 'never' }],
    ['a bad beginning', { notBefore: '' }],
    ['a request id with a space', { requestId: 'a b' }],
    ['a request id with a slash', { requestId: 'a/b' }],
    ['a resource that is no URI', { resources: ['https://a', 'b'] }],
    ['an empty resource', { resources: [''] }],
  ])('refuses %s', (_name, change) => {
    expect(parse(change)).toBeUndefined();
    expect(looksLikeSiwe(messageOf({ ...PARTS, ...change }))).toBe(true);
  });

  const FULL = messageOf({
    ...PARTS,
    expirationTime: '2026-10-30T16:25:24Z',
    notBefore: '2026-09-30T16:25:24Z',
    requestId: 'x',
    resources: ['https://a', 'https://b'],
  });

  it('refuses lines in another order, twice or not at all', () => {
    expect(parseSiwe(FULL)).toBeDefined();
    const lines = FULL.split('\n');
    const accepted: string[] = [];
    for (const [index, line] of lines.entries()) {
      const without = lines.toSpliced(index, 1);
      const twice = lines.toSpliced(index, 0, line);
      const moved = lines.toSpliced(index, 2, lines[index + 1] ?? '', line);
      if (parseSiwe(without.join('\n')) !== undefined) accepted.push(`without ${line}`);
      if (parseSiwe(twice.join('\n')) !== undefined) accepted.push(`twice ${line}`);
      if (moved.join('\n') !== FULL && parseSiwe(moved.join('\n')) !== undefined)
        accepted.push(`moved ${line}`);
    }
    expect(accepted).toEqual([
      // The empty lines before and behind then stand together.
      `without ${PARTS.statement}`,
      'without Expiration Time: 2026-10-30T16:25:24Z',
      'without Not Before: 2026-09-30T16:25:24Z',
      'without Request ID: x',
      'without - https://a',
      'twice - https://a',
      'moved - https://a',
      'without - https://b',
      'twice - https://b',
    ]);
  });

  test.each<[string, string]>([
    ['a line behind', `${FULL}\n`],
    ['text behind', `${FULL}\nmore`],
    ['a line before', `\n${FULL}`],
    ['carriage returns', FULL.replaceAll('\n', '\r\n')],
    ['one carriage return', FULL.replace('\n', '\r\n')],
    ['a byte order mark', `\u{FEFF}${FULL}`],
    ['titles in lower case', FULL.replace('Nonce', 'nonce')],
    ['two spaces', FULL.replace('Nonce: ', 'Nonce:  ')],
    ['a resource without a space', FULL.replace('- https://b', '-https://b')],
    [
      'the first line in the place of the statement',
      messageOf({ ...PARTS, statement: 'x wants you to sign in with your Ethereum account:' }).replace(
        'account',
        'Account',
      ),
    ],
    ['the first line alone', FULL.split('\n')[0] ?? ''],
  ])('refuses %s', (_name, text) => {
    expect(parseSiwe(text)).toBeUndefined();
    expect(looksLikeSiwe(text)).toBe(true);
  });

  const [FIRST = '', ...REST] = FULL.split('\n');
  const FIELDS = REST.join('\n');

  test.each<[string, string]>([
    ['two spaces in the first line', FULL.replace('wants you', 'wants  you')],
    ['a tab in the first line', FULL.replace('wants you', 'wants\tyou')],
    ['a no-break space in the first line', FULL.replace('wants you', 'wants\u00A0you')],
    ['no space in the first line', FULL.replace('wants you', 'wantsyou')],
    ['a line break in the first line', FULL.replace('sign in', 'sign\nin')],
    ['a hyphen in the first line', FULL.replace('sign in', 'sign-in')],
    ['the first line in upper case', `${FIRST.toUpperCase()}\n${FIELDS}`],
    ['no colon in the first line', FULL.replace('account:', 'account')],
    ['another word for the account', FULL.replace('Ethereum account', 'wallet')],
    ['the account of another chain', FULL.replace('Ethereum', 'Gnosis')],
    ['a zero-width space', FULL.replace('sign', 'si\u200Bgn')],
    ['a soft hyphen', FULL.replace('wants', 'wan\u00ADts')],
    ['a mark for another direction', FULL.replace('wants', '\u202Dwants')],
    ['an invisible filler', FULL.replace('wants', 'wan\u3164ts')],
    ['wide letters', FULL.replace('wants', '\uFF57\uFF41\uFF4E\uFF54\uFF53')],
    ['mathematical letters', FULL.replace('sign', '\u{1D42C}\u{1D422}\u{1D420}\u{1D427}')],
    ['a dotted capital I', FULL.replace('sign in', 'SIGN \u0130N')],
    ['an accent', FULL.replace('sign in', 'sign\u0301 in')],
    ['16-bit units', FULL.split('').join('\0')],
    ['spaces between all letters', FULL.split('').join(' ')],
    ['JSON', JSON.stringify({ message: FULL })],
    ['no first line', FIELDS],
    ['no first line, titles in lower case and CR', FIELDS.toLowerCase().replaceAll('\n', '\r')],
    [
      'the chain, the nonce and the time alone',
      'Chain ID: 1\nNonce: 12345678\nIssued At: 2026-09-30T16:25:24Z',
    ],
    ['wide colons', FIELDS.replaceAll(': ', '\uFF1A')],
    ['titles without spaces', 'uri:a version:1 nonce:x'],
  ])('looks like one with %s', (_name, text) => {
    expect(parseSiwe(text)).toBeUndefined();
    expect(looksLikeSiwe(text)).toBe(true);
  });

  test.each<[string, string]>([
    ['a version and a nonce', 'Version: 2\nNonce: 7'],
    ['words that are not titles', 'The version, the chain id and the nonce of a URI, issued at noon'],
    ['another sentence', 'We want you to sign the terms'],
    ['Chinese', '\u767B\u5F55'.repeat(40)],
  ])('does not look like one for %s', (_name, text) => {
    expect(looksLikeSiwe(text)).toBe(false);
  });

  it('looks like one whatever single change keeps the other parser reading it', () => {
    const unseen: string[] = [];
    let read = 0;
    fc.assert(
      fc.property(arbitraryParts(), arbitraryMutation(), (parts, mutate) => {
        const text = mutate(messageOf(parts));
        if (readByOther(text) === undefined) return;
        read += 1;
        if (!looksLikeSiwe(text)) unseen.push(text);
      }),
      { numRuns: 1_000, seed: SEED },
    );
    expect(unseen).toEqual([]);
    expect(read).toBeGreaterThan(100);
  });

  it('is not taken by other text', () => {
    expect(parseSiwe('')).toBeUndefined();
    expect(looksLikeSiwe('')).toBe(false);
    expect(looksLikeSiwe('please sign in')).toBe(false);
    expect(looksLikeSiwe('a WANTS YOU to sign in with your Ethereum account')).toBe(true);
  });

  it('reads the longest message, and refuses it for its last character', () => {
    const long = 'a%41'.repeat(32_768);
    for (const part of ['origin', 'statement', 'uri', 'nonce', 'requestId'] as const) {
      const value = part === 'statement' || part === 'nonce' ? 'a'.repeat(131_072) : long;
      const form = part === 'uri' ? `https://${long}/${long}?${long}#${long}` : value;
      expect(parse({ [part]: form }), part).toBeDefined();
      expect(parse({ [part]: `${form}"` }), part).toBeUndefined();
    }
  });
});

/** What the other parser reads, in the same form. */
function readByOther(text: string): Omit<SiweMessage, 'chainId'> | undefined {
  let parsed: ParsedMessage;
  try {
    parsed = new ParsedMessage(text);
  } catch {
    return undefined;
  }
  const { scheme, statement, expirationTime, notBefore, requestId, resources } = parsed;
  return {
    ...(scheme === undefined ? {} : { scheme }),
    domain: parsed.domain,
    address: parsed.address.toLowerCase() as SiweMessage['address'],
    ...(statement === undefined ? {} : { statement }),
    uri: parsed.uri,
    version: parsed.version as '1',
    nonce: parsed.nonce,
    issuedAt: parsed.issuedAt,
    ...(expirationTime === undefined ? {} : { expirationTime }),
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(requestId === undefined ? {} : { requestId }),
    resources: resources ?? [],
  };
}

/** Why the other parser takes what this one refuses; it refuses nothing that this one takes. */
const LAXER: Readonly<Record<string, RegExp>> = {
  'an empty statement, which the ABNF has not': /^0x.{40}\n\n\n\nURI: /m,
  'chain id 0, or with leading zeros': /^Chain ID: 0/m,
  'a chain id of more than 78 digits': /^Chain ID: [0-9]{79}/m,
  'a second 60': /^(?:Issued At|Expiration Time|Not Before): .{17}60/m,
  'a domain without host': /^(?:[^ ]*:\/\/)?(?:[^ @]*@)?(?::[0-9]*)? wants/,
  'octets that RFC 3986 has not: empty, or with leading zeros':
    /\[[^\]]*:[0-9.]*(?:\.\.|:\.|\.\]|[:.]0[0-9])[0-9.]*/,
};

function reasonOf(text: string): string | undefined {
  return Object.keys(LAXER).find((reason) => LAXER[reason]?.test(text));
}

describe('against @spruceid/siwe-parser', () => {
  it('reads the same from random messages', () => {
    fc.assert(
      fc.property(arbitraryParts(), (parts) => {
        const text = messageOf(parts);
        const ours = parseSiwe(text);
        const { chainId, ...rest } = ours ?? {};
        expect(rest).toEqual(readByOther(text));
        expect(chainId).toBe(BigInt(parts.chainId));
      }),
      { numRuns: 1_000, seed: SEED },
    );
  });

  test.each<[string, Partial<Parts>]>([
    ['an empty statement, which the ABNF has not', { statement: '' }],
    ['chain id 0, or with leading zeros', { chainId: '0' }],
    ['chain id 0, or with leading zeros', { chainId: '01' }],
    ['a chain id of more than 78 digits', { chainId: '1'.repeat(79) }],
    ['a second 60', { issuedAt: '2026-09-30T16:25:60Z' }],
    ['a domain without host', { origin: 'user@:443' }],
    ['octets that RFC 3986 has not: empty, or with leading zeros', { origin: '[::01.2.3.4]' }],
    ['octets that RFC 3986 has not: empty, or with leading zeros', { origin: '[::1..3.4]' }],
  ])('is stricter about %s', (reason, change) => {
    const text = messageOf({ ...PARTS, ...change });
    expect(readByOther(text)).toBeDefined();
    expect(parseSiwe(text)).toBeUndefined();
    expect(reasonOf(text)).toBe(reason);
  });

  it('agrees on changed messages, but for reasons that are known', () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(
        arbitraryParts(),
        fc.array(arbitraryMutation(), { minLength: 1, maxLength: 2 }),
        (parts, mutations) => {
          const text = mutations.reduce((text, mutate) => mutate(text), messageOf(parts));
          const ours = parseSiwe(text);
          const theirs = readByOther(text);
          const outcome = outcomeOf(text, ours, theirs);
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
          expect(outcome).not.toBe('unknown');
        },
      ),
      { numRuns: 5_000, seed: SEED },
    );
    expect(outcomes.get('same')).toBeGreaterThan(500);
    expect(outcomes.get('neither')).toBeGreaterThan(500);
  });

  function outcomeOf(
    text: string,
    ours: SiweMessage | undefined,
    theirs: Omit<SiweMessage, 'chainId'> | undefined,
  ): string {
    if (ours === undefined && theirs === undefined) return 'neither';
    if (ours === undefined) return reasonOf(text) ?? 'unknown';
    if (theirs === undefined) return 'unknown';
    const { chainId, ...rest } = ours;
    expect(rest).toEqual(theirs);
    expect(text).toContain(`\nChain ID: ${chainId}\n`);
    return 'same';
  }
});
