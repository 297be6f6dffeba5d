import { z } from 'zod';
import { CountersignError } from '../errors.ts';
import { canonicalize, type JsonValue } from '../jcs.ts';
import { parseWith } from '../schema.ts';
import type { Subject } from '../audit/verify/proof.ts';
import { parseStrictJson } from '../http/json.ts';
import { readBytes, readJsonFile } from './json-file.ts';

export interface SubjectFlags {
  readonly entry?: string;
  readonly leafHash?: string;
  readonly receipt?: string;
}

/** What a proof is to be of. Throws `invalid_request` unless it is said in one way. */
export async function readSubject({ entry, leafHash, receipt }: SubjectFlags): Promise<Subject> {
  if ([entry, leafHash, receipt].filter((given) => given !== undefined).length === 1) {
    if (leafHash !== undefined) return { leafHash: Buffer.from(leafHash, 'hex') };
    if (entry !== undefined) return { entry: entryBytes(await readBytes(entry, entry)) };
    if (receipt !== undefined)
      return { receipt: parseWith(answerSchema, await readJsonFile(receipt), receipt).receipt };
  }
  const message = 'say what the proof is of with one of --entry, --leaf-hash and --receipt';
  throw new CountersignError('invalid_request', message);
}

/** Of an answer, only what is needed: there is more beside it. */
const answerSchema = z.looseObject({
  receipt: z.strictObject({ index: z.int().min(0), leafHash: z.string().regex(/^[0-9a-f]{64}$/) }),
});
const shownSchema = z.strictObject({
  index: z.int(),
  leafHash: z.string(),
  entry: z.record(z.string(), z.unknown()),
});

const NEWLINE = 0x0a;

/**
 * An entry as it was hashed. What is shown of one has the entry as JSON, whose canonical form was; of a file that is
 * the entry, a newline that an editor put at its end is no part.
 */
function entryBytes(file: Buffer): Uint8Array {
  const shown = shownSchema.safeParse(jsonOf(file));
  if (shown.success) return Buffer.from(canonicalize(shown.data.entry as JsonValue), 'utf8');
  return file.at(-1) === NEWLINE ? file.subarray(0, -1) : file;
}

/** Undefined for what is no JSON, or not as strict as ours. */
function jsonOf(bytes: Buffer): unknown {
  try {
    return parseStrictJson(bytes);
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    return undefined;
  }
}
