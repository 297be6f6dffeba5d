import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync, type Stats } from 'node:fs';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { promptHidden } from './prompt.ts';
import type { Terminal } from './terminal.ts';

/** What names standard input in place of a file. */
export const STDIN = '-';

const MAX_SECRET_BYTES = 64 * 1024;
/** One of ours, or an identity provider's (RFC 7515, 7.1). */
const TOKEN = /^(?:cs_[0-9a-f]{16}_[A-Za-z0-9_-]{43}|ey[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2})$/;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

export interface SecretRequest {
  /** As the person calls it: `the passphrase`. */
  readonly name: string;
  /** The option that names the file. */
  readonly option: string;
  /** `-` for standard input; absent to ask on the terminal. */
  readonly file: string | undefined;
  /** It is new: ask twice. */
  readonly confirm?: boolean;
}

/**
 * A secret from a file, standard input or the keyboard, without the newline at its end. The caller wipes it.
 * Throws `invalid_request` when there is none to have.
 */
export async function readSecret(request: SecretRequest, terminal: Terminal): Promise<Buffer> {
  const { name, option, file } = request;
  if (file === undefined) return await ask(request, terminal);
  const bytes = file === STDIN ? await readAll(process.stdin, name) : readPrivateFile(file, name, terminal);
  const secret = withoutNewline(bytes);
  if (secret.length > 0) return secret;
  throw new CountersignError('invalid_request', `${name} is empty: ${option} ${file} holds nothing`);
}

/** A secret as a JSON string. Only here does it leave its Buffer, which is wiped. */
export function secretToString(secret: Buffer, name: string): string {
  try {
    if (!isUtf8(secret)) throw new CountersignError('invalid_request', `${name} is not UTF-8 text`);
    return secret.toString('utf8');
  } finally {
    wipe(secret);
  }
}

/** The bearer token in a file. Throws `invalid_request` for a file that is not one line with a token. */
export function readTokenFile(file: string, terminal: Terminal): string {
  const secret = withoutNewline(readPrivateFile(file, 'the token', terminal));
  const token = secretToString(secret, 'the token');
  // What is in a wrong file must not be sent anywhere.
  if (TOKEN.test(token)) return token;
  throw new CountersignError(
    'invalid_request',
    `the token file ${file} does not hold a token (one line, cs_… or a JWT)`,
  );
}

async function ask({ name, option, confirm = false }: SecretRequest, terminal: Terminal): Promise<Buffer> {
  if (!process.stdin.isTTY || !terminal.interactive) {
    const how = `give ${option} FILE, or ${option} ${STDIN} for standard input`;
    throw new CountersignError('invalid_request', `there is no terminal to ask for ${name} on: ${how}`);
  }
  const show = (text: string): void => void process.stderr.write(text);
  const first = await promptHidden(`Enter ${name}: `, process.stdin, show);
  if (first.length === 0) throw new CountersignError('invalid_request', `${name} is empty`);
  if (!confirm) return first;
  const second = await promptHidden(`Repeat ${name}: `, process.stdin, show);
  const same = first.equals(second);
  wipe(second);
  if (same) return first;
  wipe(first);
  throw new CountersignError('invalid_request', 'the two do not match');
}

function readPrivateFile(file: string, name: string, terminal: Terminal): Buffer {
  let stats: Stats;
  let bytes: Buffer;
  try {
    stats = statSync(file);
    if (stats.isFile() && stats.size > MAX_SECRET_BYTES) throw tooLong(name);
    bytes = readFileSync(file);
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw new CountersignError(
      'invalid_request',
      `${name} cannot be read from ${file}: ${whyNot(error)}`,
      [],
      error,
    );
  }
  // A pipe has no readers but us.
  if (stats.isFile() && (stats.mode & 0o077) !== 0) {
    terminal.err(
      `warning: other users of this machine can open ${file}, which holds ${name}: chmod 600 ${file}`,
    );
  }
  return bytes;
}

/** For people, why a file cannot be opened. */
export function whyNot(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return code ?? 'unknown error';
}

async function readAll(stream: AsyncIterable<unknown>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of stream) {
      if (!Buffer.isBuffer(chunk)) continue;
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_SECRET_BYTES) throw tooLong(name);
    }
    return Buffer.concat(chunks);
  } finally {
    wipe(...chunks);
  }
}

function tooLong(name: string): CountersignError {
  return new CountersignError(
    'invalid_request',
    `${name} is over ${MAX_SECRET_BYTES} bytes: is that the right file?`,
  );
}

/** The same memory. One newline, which an editor or `echo` puts there. */
function withoutNewline(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === NEWLINE) end -= bytes[end - 2] === RETURN ? 2 : 1;
  return bytes.subarray(0, end);
}
