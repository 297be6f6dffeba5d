import { pino, type DestinationStream } from 'pino';

/** All that a log line may carry. No objects, no bodies, no headers: what has no field can't leak. */
export interface LogFields {
  readonly requestId?: string;
  readonly code?: string;
  readonly reason?: string;
  readonly address?: string;
  readonly path?: string;
  readonly pid?: number;
  readonly size?: number;
  readonly milliseconds?: number;
}

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

const FIELDS = ['requestId', 'code', 'reason', 'address', 'path', 'pid', 'size', 'milliseconds'] as const;
/** Things shaped like credentials, private keys or seeds, if one should ever be in a text. */
const SECRET_SHAPES = /cs_[0-9a-f]{16}_[A-Za-z0-9_-]{43}|(?:0x)?[0-9a-fA-F]{64,}/g;

export type LogLevel = 'info' | 'warn' | 'error' | 'silent';

/** JSON lines with UTC times. */
export function createLog(level: LogLevel, stream: DestinationStream): Log {
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, stream);
  return {
    info: (event, fields) => logger.info(pick(fields), event),
    warn: (event, fields) => logger.warn(pick(fields), event),
    error: (event, fields) => logger.error(pick(fields), event),
  };
}

function pick(fields: LogFields = {}): LogFields {
  const picked: Record<string, string | number> = {};
  for (const name of FIELDS) {
    const value = fields[name];
    if (typeof value === 'number') picked[name] = value;
    if (typeof value === 'string') picked[name] = value.replaceAll(SECRET_SHAPES, '[removed]');
  }
  return picked;
}
