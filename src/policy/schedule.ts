import { isIP } from 'node:net';
import type { JsonValue } from '../jcs.ts';
import { DAYS, type SourceTest, type TimeWindow } from './model.ts';
import { readTime, readTimeOfDay } from './moment.ts';
import type { Quota } from './quota.ts';
import { quote, readBoolean, readChoice, readList, readMapping, type Path, type Problems } from './read.ts';
import { isTimeZone } from './windows.ts';

export interface Validity {
  readonly from?: number;
  readonly until?: number;
}

/** `validity: { from, until }`, of which one may be absent. */
export function readValidity(value: JsonValue | undefined, path: Path, problems: Problems): Validity {
  const members = readMapping(value, path, problems, ['from', 'until']);
  if (members?.size === 0) problems.add(path, 'restricts nothing; write { until: "2027-01-31T00:00:00Z" }');
  const validity: { -readonly [K in keyof Validity]: Validity[K] } = {};
  for (const name of ['from', 'until'] as const) {
    const time = members?.has(name) ? readTime(members.get(name), [...path, name], problems) : undefined;
    if (time !== undefined) validity[name] = time;
  }
  if (validity.from !== undefined && validity.until !== undefined && validity.from >= validity.until) {
    problems.add(
      [...path, 'until'],
      'is not after `from`, so the rule never applies; correct one of the two',
    );
  }
  return validity;
}

const WINDOW = ['tz', 'days', 'from', 'to'];
const MIDNIGHT = 24 * 60;

/** `windows: [{ tz, days, from, to }]`, of which one is enough. */
export function readWindows(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
  quota: Quota,
): readonly TimeWindow[] {
  const windows = readList(value, path, problems, (item, itemPath) => {
    quota.spend('time windows', itemPath);
    return readWindow(item, itemPath, problems);
  });
  return [...windows];
}

function readWindow(value: JsonValue, path: Path, problems: Problems): TimeWindow | undefined {
  const members = readMapping(value, path, problems, WINDOW);
  if (members === undefined) return undefined;
  const tz = readTimeZone(members.get('tz'), [...path, 'tz'], problems);
  const days = readList(members.get('days'), [...path, 'days'], problems, (item, itemPath) =>
    readChoice(item, itemPath, problems, DAYS),
  );
  const from = readTimeOfDay(members.get('from'), [...path, 'from'], problems, MIDNIGHT - 1);
  const to = readTimeOfDay(members.get('to'), [...path, 'to'], problems, MIDNIGHT);
  if (tz === undefined || from === undefined || to === undefined) return undefined;
  if (from === to) {
    const message =
      'is `from`: nothing, or a whole day? For the whole day write from: "00:00" and to: "24:00"';
    problems.add([...path, 'to'], message);
  }
  return { tz, days, from, to };
}

function readTimeZone(value: JsonValue | undefined, path: Path, problems: Problems): string | undefined {
  if (typeof value === 'string' && isTimeZone(value)) return value;
  problems.add(path, `${quote(value)} is not a time zone; write an IANA name, as in Europe/Zurich or UTC`);
  return undefined;
}

/** `source: { cidr: […], mtls: true | false }`, both of which must hold. */
export function readSource(value: JsonValue | undefined, path: Path, problems: Problems): SourceTest {
  const members = readMapping(value, path, problems, ['cidr', 'mtls']);
  if (members?.size === 0) problems.add(path, 'restricts nothing; write { cidr: ["10.0.0.0/8"] }');
  const cidr = members?.has('cidr')
    ? readList(members.get('cidr'), [...path, 'cidr'], problems, (item, itemPath) =>
        readNetwork(item, itemPath, problems),
      )
    : undefined;
  const mtls = members?.has('mtls')
    ? readBoolean(members.get('mtls'), [...path, 'mtls'], problems)
    : undefined;
  return {
    ...(cidr === undefined ? {} : { cidr: [...cidr] }),
    ...(mtls === undefined ? {} : { mtls }),
  };
}

const NETWORK = /^([0-9A-Fa-f:.]+)\/(0|[1-9][0-9]{0,2})$/;

/** An IPv4 or IPv6 network with its length: an address alone does not say whether one host was meant. */
function readNetwork(value: JsonValue, path: Path, problems: Problems): string | undefined {
  const match = typeof value === 'string' ? NETWORK.exec(value) : null;
  const family = isIP(match?.[1] ?? '');
  if (match !== null && family !== 0 && Number(match[2]) <= (family === 4 ? 32 : 128)) return match[0];
  const hint =
    typeof value === 'string' && isIP(value) !== 0
      ? `; for one host write ${value}/${isIP(value) === 4 ? 32 : 128}`
      : '';
  problems.add(path, `must be a network such as 10.0.0.0/8 or fd00::/8${hint}`);
  return undefined;
}
