import { getAddress } from 'ethers';
import * as fc from 'fast-check';
import { hexOf } from './abi-types.ts';

/** The members of a message, in the order of its lines; what is undefined has no line. */
export interface Parts {
  readonly origin: string;
  readonly address: string;
  readonly statement?: string | undefined;
  readonly uri: string;
  readonly version: string;
  readonly chainId: string;
  readonly nonce: string;
  readonly issuedAt: string;
  readonly expirationTime?: string | undefined;
  readonly notBefore?: string | undefined;
  readonly requestId?: string | undefined;
  readonly resources?: readonly string[] | undefined;
}

export function messageOf(parts: Parts): string {
  const option = (title: string, value: string | undefined) =>
    value === undefined ? [] : [`${title}: ${value}`];
  return [
    `${parts.origin} wants you to sign in with your Ethereum account:`,
    parts.address,
    '',
    ...(parts.statement === undefined ? [] : [parts.statement]),
    '',
    `URI: ${parts.uri}`,
    `Version: ${parts.version}`,
    `Chain ID: ${parts.chainId}`,
    `Nonce: ${parts.nonce}`,
    `Issued At: ${parts.issuedAt}`,
    ...option('Expiration Time', parts.expirationTime),
    ...option('Not Before', parts.notBefore),
    ...option('Request ID', parts.requestId),
    ...(parts.resources === undefined ? [] : ['Resources:', ...parts.resources.map((uri) => `- ${uri}`)]),
  ].join('\n');
}

const PCHAR = [..."abzAZ019-._~!$&'()*+,;=:@".split(''), '%41', '%fF'];

const textOf = (units: readonly string[], minLength = 0) =>
  fc.array(fc.constantFrom(...units), { minLength, maxLength: 8 }).map((list) => list.join(''));

export function arbitraryParts(): fc.Arbitrary<Parts> {
  const octet = fc.constantFrom('0', '1', '9', '10', '99', '192', '255');
  const group = fc.constantFrom('0', '1', 'ab', 'FFFF', '0db8');
  const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
  const groups = (length: number) =>
    fc.array(group, { minLength: length, maxLength: length }).map((list) => list.join(':'));
  const ipv6 = fc.oneof(
    groups(8),
    fc
      .nat(7)
      .chain((left) =>
        fc
          .nat(7 - left)
          .chain((right) => fc.tuple(groups(left), groups(right)).map((sides) => sides.join('::'))),
      ),
    fc.nat(4).chain((left) => fc.tuple(groups(left), ipv4).map((sides) => sides.join('::'))),
    fc.tuple(groups(6), ipv4).map((sides) => sides.join(':')),
  );
  const name = textOf(
    PCHAR.filter((unit) => unit !== ':' && unit !== '@'),
    1,
  );
  const host = fc.oneof(
    name,
    ipv4,
    ipv6.map((literal) => `[${literal}]`),
    fc.constant('[v7.a:b]'),
  );
  const optional = (arbitrary: fc.Arbitrary<string>) => fc.oneof(fc.constant(''), arbitrary);
  const authority = fc
    .tuple(
      optional(textOf(PCHAR.filter((unit) => unit !== '@')).map((user) => `${user}@`)),
      host,
      optional(fc.constantFrom(':', ':1', ':65536')),
    )
    .map((parts) => parts.join(''));
  const scheme = fc.constantFrom('https', 'a', 'A1+.-', 'ipfs', 'did');
  const path = textOf([...PCHAR, '/']);
  const query = textOf([...PCHAR, '/', '?']);
  const hierarchy = fc.oneof(
    fc.tuple(authority, path).map(([host, rest]) => `//${host}${rest === '' ? '' : `/${rest}`}`),
    path.filter((text) => !text.startsWith('//')),
  );
  const uri = fc
    .tuple(
      scheme,
      hierarchy,
      optional(query.map((text) => `?${text}`)),
      optional(query.map((text) => `#${text}`)),
    )
    .map(([scheme, ...rest]) => `${scheme}:${rest.join('')}`);
  const time = fc
    .tuple(
      fc.date({ min: new Date('0001-01-01'), max: new Date('9999-01-01'), noInvalidDate: true }),
      fc.constantFrom('Z', 'z', '.1Z', '.123456789Z', '+00:00', '-23:59'),
      fc.constantFrom('T', 't'),
    )
    .map(([date, end, t]) => date.toISOString().slice(0, 19).replace('T', t) + end);
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  return fc.record({
    origin: fc.tuple(optional(scheme.map((text) => `${text}://`)), authority).map((parts) => parts.join('')),
    address: hexOf(20).map(getAddress),
    statement: maybe(textOf("abzAZ09 !#$&'()*+,-./:;=?@[]_~".split(''), 1)),
    uri,
    version: fc.constant('1'),
    chainId: fc.bigInt({ min: 1n, max: 2n ** 64n }).map(String),
    nonce: textOf('aZ09'.split(''), 8),
    issuedAt: time,
    expirationTime: maybe(time),
    notBefore: maybe(time),
    requestId: maybe(textOf(PCHAR)),
    resources: maybe(fc.array(uri, { maxLength: 3 })),
  });
}

/** Changes at one place, and of whole lines, that are near what the grammar takes. */
export function arbitraryMutation(): fc.Arbitrary<(text: string) => string> {
  const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  const unit = fc.constantFrom(
    ...PCHAR,
    ...'"%/?#[]<> \n\r\t06\u{E9}'.split(''),
    '::',
    '..',
    '//',
    '@',
    '00',
    '\n\n',
    '60',
  );
  return fc.oneof(
    fc.tuple(place, fc.nat(3), unit).map(([at, removed, unit]) => (text: string) => {
      const start = Math.floor(at * text.length);
      return text.slice(0, start) + unit + text.slice(start + removed);
    }),
    fc.tuple(place, fc.integer({ min: 1, max: 4 })).map(([at, removed]) => (text: string) => {
      const start = Math.floor(at * text.length);
      return text.slice(0, start) + text.slice(start + removed);
    }),
    fc.tuple(place, fc.nat(1), fc.constantFrom('', 'copy')).map(([at, removed, copy]) => (text: string) => {
      const lines = text.split('\n');
      const index = Math.floor(at * lines.length);
      return lines.toSpliced(index, removed, ...(copy === '' ? [''] : [lines[index] ?? ''])).join('\n');
    }),
    fc.tuple(place, place).map(([at, other]) => (text: string) => {
      const lines = text.split('\n');
      const [line] = lines.splice(Math.floor(at * lines.length), 1);
      return lines.toSpliced(Math.floor(other * lines.length), 0, line ?? '').join('\n');
    }),
  );
}
