import type { JsonValue } from '../jcs.ts';
import { parseAmount, parseInteger, parseTokenAmount, type Parsed } from './amount.ts';
import { readApprovalName } from './approvals.ts';
import { readActionList } from './call-predicates.ts';
import { LIMIT_SCOPES, type Approval, type Limit, type Meter, type Token } from './model.ts';
import { readDuration } from './moment.ts';
import type { Quota } from './quota.ts';
import {
  readChoice,
  readList,
  readMapping,
  readNamed,
  readReference,
  type Path,
  type Problems,
} from './read.ts';

/** What limits may refer to. */
export interface LimitContext {
  readonly problems: Problems;
  readonly quota: Quota;
  readonly tokens: ReadonlyMap<string, Token>;
  readonly approvals: ReadonlyMap<string, Approval>;
}

const LIMIT = ['meter', 'per', 'window', 'max', 'onExceed'];
const PLAIN_METERS = ['value', 'maxTotalFee', 'count'] as const;

/** What is kept of one window, and summed for each request. */
const MAX_BUCKETS = 1_000;

/** `limits`: by name, `{ meter, per?, window: { rolling, bucket }, max, onExceed }`. */
export function readLimits(value: JsonValue | undefined, context: LimitContext): Limit[] {
  const limits: Limit[] = [];
  for (const [name, item] of readNamed(value, ['limits'], context.problems)) {
    const path = ['limits', name];
    context.quota.spend('limits', path);
    const limit = readLimit(name, item, path, context);
    if (limit !== undefined) limits.push(limit);
  }
  return limits;
}

function readLimit(name: string, value: JsonValue, path: Path, context: LimitContext): Limit | undefined {
  const { problems } = context;
  const members = readMapping(value, path, problems, LIMIT);
  if (members === undefined) return undefined;
  const meter = readMeter(members.get('meter'), [...path, 'meter'], context);
  const per = members.has('per')
    ? readList(members.get('per'), [...path, 'per'], problems, (item, itemPath) =>
        readChoice(item, itemPath, problems, LIMIT_SCOPES),
      )
    : [];
  const window = readWindow(members.get('window'), [...path, 'window'], problems);
  const onExceed = readOnExceed(members.get('onExceed'), [...path, 'onExceed'], context);
  const max = meter && readMax(members.get('max'), [...path, 'max'], meter, problems);
  if (meter === undefined || window === undefined || onExceed === undefined || max === undefined)
    return undefined;
  return { name, meter, per: [...per], window, max, onExceed };
}

function readMeter(value: JsonValue | undefined, path: Path, context: LimitContext): Meter | undefined {
  const { problems, tokens } = context;
  const plain = PLAIN_METERS.find((name) => name === value);
  if (plain !== undefined) return { kind: plain };
  if (typeof value !== 'object' || value === null) {
    problems.add(
      path,
      `must be ${PLAIN_METERS.join(', ')} or { token: name, include: [transfer, approve, permit] }`,
    );
    return undefined;
  }
  const members = readMapping(value, path, problems, ['token', 'include']);
  if (members === undefined) return undefined;
  const token = readReference(members.get('token'), [...path, 'token'], problems, tokens, 'tokens');
  const include = readActionList(members.get('include'), [...path, 'include'], problems);
  return token && { kind: 'token', token, include };
}

function readMax(
  value: JsonValue | undefined,
  path: Path,
  meter: Meter,
  problems: Problems,
): bigint | undefined {
  const parsed = parserOf(meter)(value ?? null);
  if ('value' in parsed) return parsed.value;
  problems.add(path, parsed.problem);
  return undefined;
}

function parserOf(meter: Meter): (value: JsonValue) => Parsed {
  if (meter.kind === 'token') return (value) => parseTokenAmount(value, meter.token);
  return meter.kind === 'count' ? parseInteger : parseAmount;
}

function readWindow(
  value: JsonValue | undefined,
  path: Path,
  problems: Problems,
): Limit['window'] | undefined {
  const members = readMapping(value, path, problems, ['rolling', 'bucket']);
  if (members === undefined) return undefined;
  const rolling = readDuration(members.get('rolling'), [...path, 'rolling'], problems);
  const bucket = readDuration(members.get('bucket'), [...path, 'bucket'], problems);
  if (rolling === undefined || bucket === undefined) return undefined;
  if (rolling % bucket !== 0) {
    problems.add(
      [...path, 'bucket'],
      'does not divide `rolling` into whole parts; write for example 5m of 24h',
    );
  } else if (rolling / bucket > MAX_BUCKETS) {
    problems.add(
      [...path, 'bucket'],
      `divides \`rolling\` into more than ${MAX_BUCKETS} parts; write a longer one`,
    );
  }
  return { rolling, bucket };
}

function readOnExceed(
  value: JsonValue | undefined,
  path: Path,
  { problems, approvals }: LimitContext,
): Limit['onExceed'] | undefined {
  if (value === 'deny') return 'deny';
  if (typeof value !== 'object' || value === null) {
    problems.add(path, 'must be deny or { approval: name }');
    return undefined;
  }
  const members = readMapping(value, path, problems, ['approval']);
  if (members === undefined) return undefined;
  const approval = readApprovalName(members.get('approval'), [...path, 'approval'], problems, approvals);
  return approval && { approval: approval.name };
}
