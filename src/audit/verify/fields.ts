import type { JsonValue } from '../../jcs.ts';

/** An entry read back from a log: an object, and nothing else is known of it. */
export interface EntryFields {
  readonly [name: string]: JsonValue | undefined;
}

/** Undefined where there is no such member, or nothing that has members. */
export function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as EntryFields)[name] : undefined;
}
