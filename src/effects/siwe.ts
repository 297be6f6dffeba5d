import { isIPv6 } from 'node:net';
import type { Hex } from '../bytes.ts';
import { toChecksumAddress } from '../intent/fields.ts';
import type { SiweMessage } from './effect.ts';

/** EIP-4361, "Message Format": what follows the domain in the first line. */
const PREAMBLE = ' wants you to sign in with your Ethereum account:';

/** The words of the first line for which even lax readers look, as `fold` writes them; some stop after them. */
const WORDS = 'wantsyoutosignin';
/** The titles of the lines that a message must have, as `fold` writes them. */
const TITLES = ['uri:', 'version:', 'chainid:', 'nonce:', 'issuedat:'];
/** Readers that search for single lines do without the others, and without the first line. */
const ENOUGH_TITLES = 3;

const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;
/** RFC 3986 `reserved` and `unreserved`, and the space. */
const STATEMENT = /^[A-Za-z0-9 !#$&'()*+,\-./:;=?@[\]_~]+$/;
/** As text, a number with leading zeros is not what it is compared with; and no chain has the id 0. */
const CHAIN_ID = /^[1-9][0-9]{0,77}$/;
const NONCE = /^[A-Za-z0-9]{8,}$/;
const DATE_TIME =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?(?:[Zz]|[+-]([0-9]{2}):([0-9]{2}))$/;

// RFC 3986, appendix A. The alternatives of each begin with different characters, so that matching is linear.
const PCHARS = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*$/;
const PATH = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/;
const QUERY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*$/;
const USERINFO = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*$/;
const NAME_AND_PORT = /^((?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)(?::[0-9]*)?$/;
const LITERAL_AND_PORT = /^\[([0-9A-Za-z\-._~!$&'()*+,;=:]+)\](?::[0-9]*)?$/;
const IP_FUTURE = /^[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+$/;
const IPV6_DIGITS = /^[0-9A-Fa-f:.]+$/;

/**
 * A message of EIP-4361, if the text is one by the letter: the ABNF of the standard, lines ended by LF alone and
 * nothing behind them, the address with its EIP-55 checksum, times of days that exist. In three points it is stricter
 * than the ABNF: the domain has a host, the chain id is a number from 1 without leading zeros, and no time has a second
 * 60, of which nobody knows in advance when there is one.
 */
export function parseSiwe(text: string): SiweMessage | undefined {
  if (!text.includes(`${PREAMBLE}\n`)) return undefined;
  const lines: Lines = { lines: text.split('\n'), next: 0 };
  const origin = readOrigin(take(lines));
  const address = readAddress(take(lines));
  const statement = readStatement(lines);
  const uri = taken(lines, 'URI: ', isUri);
  const version = taken(lines, 'Version: ', (value) => value === '1');
  const chainId = taken(lines, 'Chain ID: ', (value) => CHAIN_ID.test(value));
  const nonce = taken(lines, 'Nonce: ', (value) => NONCE.test(value));
  const issuedAt = taken(lines, 'Issued At: ', isDateTime);
  const options = readOptions(lines);
  if (origin === undefined || address === undefined || statement === undefined) return undefined;
  if (uri === undefined || version === undefined || chainId === undefined) return undefined;
  if (nonce === undefined || issuedAt === undefined || options === undefined) return undefined;
  const required = { address, uri, version: '1', chainId: BigInt(chainId), nonce, issuedAt } as const;
  return { ...origin, ...required, ...statement, ...options };
}

/**
 * Whether somebody may read the text as a message of EIP-4361: it has the words of the first line, or most titles of
 * the lines below it, whatever the case, spaces, line ends, invisible characters and forms of letters. If `parseSiwe`
 * does not, then what a policy says of such messages cannot be decided. Letters of other scripts that look alike are
 * other letters: they deceive eyes, not readers.
 */
export function looksLikeSiwe(text: string): boolean {
  const folded = fold(text);
  return (
    folded.replace(/[^a-z]/g, '').includes(WORDS) ||
    TITLES.filter((title) => folded.includes(title)).length >= ENOUGH_TITLES
  );
}

/** What of the text is printable ASCII, in lower case; letters that Unicode holds for variants are plain ones first. */
function fold(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^\x21-\x7e]/g, '');
}

interface Lines {
  readonly lines: readonly string[];
  next: number;
}

function take(lines: Lines): string | undefined {
  const line = lines.lines[lines.next];
  lines.next += 1;
  return line;
}

/** The value of the next line, which is undefined if that is another one, or not as it must be. */
function taken(lines: Lines, title: string, isValid: (value: string) => boolean): string | undefined {
  const line = take(lines);
  const value = line?.startsWith(title) === true ? line.slice(title.length) : undefined;
  return value !== undefined && isValid(value) ? value : undefined;
}

/** `[ scheme "://" ] domain`; a domain has no `/`. */
function readOrigin(line: string | undefined): { scheme?: string; domain: string } | undefined {
  if (line?.endsWith(PREAMBLE) !== true) return undefined;
  const origin = line.slice(0, -PREAMBLE.length);
  const end = origin.indexOf('://');
  const domain = end === -1 ? origin : origin.slice(end + 3);
  if (!isAuthority(domain) || !hasHost(domain)) return undefined;
  if (end === -1) return { domain };
  const scheme = origin.slice(0, end);
  return SCHEME.test(scheme) ? { scheme, domain } : undefined;
}

function hasHost(authority: string): boolean {
  const host = authority.slice(authority.indexOf('@') + 1);
  return host !== '' && !host.startsWith(':');
}

function readAddress(line: string | undefined): Hex | undefined {
  if (line === undefined || !ADDRESS.test(line)) return undefined;
  const address = line.toLowerCase() as Hex;
  return toChecksumAddress(address) === line ? address : undefined;
}

/** An empty line, the statement if there is one, and an empty line. */
function readStatement(lines: Lines): { statement?: string } | undefined {
  if (take(lines) !== '') return undefined;
  const statement = take(lines);
  if (statement === '') return {};
  if (statement === undefined || !STATEMENT.test(statement)) return undefined;
  return take(lines) === '' ? { statement } : undefined;
}

const OPTIONS = [
  ['expirationTime', 'Expiration Time: ', isDateTime],
  ['notBefore', 'Not Before: ', isDateTime],
  ['requestId', 'Request ID: ', (value: string) => PCHARS.test(value)],
] as const;

type Options = Pick<SiweMessage, (typeof OPTIONS)[number][0] | 'resources'>;

/** All lines to the end; each option at most once, in the standard's order. */
function readOptions(lines: Lines): Options | undefined {
  const options: { -readonly [name in keyof Options]: Options[name] } = { resources: [] };
  for (const [name, title, isValid] of OPTIONS) {
    if (lines.lines[lines.next]?.startsWith(title) !== true) continue;
    const value = taken(lines, title, isValid);
    if (value === undefined) return undefined;
    options[name] = value;
  }
  if (lines.next >= lines.lines.length) return options;
  if (take(lines) !== 'Resources:') return undefined;
  const resources = lines.lines.slice(lines.next);
  if (!resources.every((line) => line.startsWith('- ') && isUri(line.slice(2)))) return undefined;
  return { ...options, resources: resources.map((line) => line.slice(2)) };
}

/** RFC 3986 `URI`, of any scheme. */
function isUri(text: string): boolean {
  const [beforeFragment, fragment] = cut(text, '#');
  const [beforeQuery, query] = cut(beforeFragment, '?');
  const [scheme, rest] = cut(beforeQuery, ':');
  if (rest === undefined || !SCHEME.test(scheme)) return false;
  if (!QUERY.test(query ?? '') || !QUERY.test(fragment ?? '')) return false;
  if (!rest.startsWith('//')) return PATH.test(rest);
  const path = rest.indexOf('/', 2);
  if (path === -1) return isAuthority(rest.slice(2));
  return isAuthority(rest.slice(2, path)) && PATH.test(rest.slice(path));
}

/** RFC 3986 `authority`: `[ userinfo "@" ] host [ ":" port ]`, where the host may be empty. */
function isAuthority(text: string): boolean {
  const [before, after] = cut(text, '@');
  if (after !== undefined && !USERINFO.test(before)) return false;
  const host = after ?? before;
  if (!host.startsWith('[')) return NAME_AND_PORT.test(host);
  const literal = LITERAL_AND_PORT.exec(host)?.[1] ?? '';
  return IP_FUTURE.test(literal) || (IPV6_DIGITS.test(literal) && isIPv6(literal));
}

/** What is before and after the first `sign`. */
function cut(text: string, sign: string): readonly [string, string | undefined] {
  const at = text.indexOf(sign);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** RFC 3339 `date-time`, of a day that exists. */
function isDateTime(text: string): boolean {
  const match = DATE_TIME.exec(text);
  if (match === null) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ...offset] = match
    .slice(1)
    .map((digits) => Number(digits ?? 0));
  const [offsetHour = 0, offsetMinute = 0] = offset;
  const isTime = hour < 24 && minute < 60 && second < 60 && offsetHour < 24 && offsetMinute < 60;
  return isTime && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
}

function daysOf(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}
