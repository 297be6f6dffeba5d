import { CountersignError, type ErrorCode } from '../../src/errors.ts';

/** What an error says in all: an answer and an entry of the log carry it. */
const MAX_WORDS = 64 * 1024;

/** What a parser makes of hostile input; undefined where it refuses it, with an error of its own of one of these codes. */
export function attempt<T>(codes: readonly ErrorCode[], parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    checkRefusal(codes, error);
    return undefined;
  }
}

/** Throws what is not a refusal as it must be. */
export function checkRefusal(codes: readonly ErrorCode[], error: unknown): void {
  if (!(error instanceof CountersignError) || !codes.includes(error.code)) throw error;
  const words = [error.message, ...error.errors.flatMap(({ path, message }) => [path, message])].join('');
  if (words.length > MAX_WORDS) throw new Error(`a refusal of ${words.length} characters`);
  if (!words.isWellFormed()) throw new Error('a refusal with half a character');
}

/** Of text, what is not UTF-8 replaced. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** As `JSON.parse`; undefined for what is no JSON. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
}
