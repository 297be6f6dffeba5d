import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { CountersignError } from '../errors.ts';
import { parseStrictJson } from '../http/json.ts';
import { STDIN, whyNot } from './secrets.ts';

/**
 * JSON from a file or, for `-`, from standard input. Read as strictly as the service reads it: here, and not after a
 * lenient parser has rounded a number or dropped a repeated key. Throws `invalid_request`.
 */
export async function readJsonFile(file: string): Promise<{ readonly [name: string]: unknown }> {
  const source = file === STDIN ? 'standard input' : file;
  const bytes = await readBytes(file, source);
  try {
    const value = parseStrictJson(bytes);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as { [name: string]: unknown };
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const message = error.message.replace(/^the body/, 'the file');
    throw new CountersignError('invalid_request', `${source} cannot be used: ${message}`, [], error);
  }
  throw new CountersignError('invalid_request', `${source} cannot be used: it is not a JSON object`);
}

export async function readBytes(file: string, source: string): Promise<Buffer> {
  try {
    return file === STDIN ? await buffer(process.stdin) : readFileSync(file);
  } catch (error) {
    throw new CountersignError('invalid_request', `${source} cannot be read: ${whyNot(error)}`, [], error);
  }
}
