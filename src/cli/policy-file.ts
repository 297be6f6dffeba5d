import { CountersignError, type FieldError } from '../errors.ts';
import type { CompiledPolicy } from '../policy/policy.ts';
import type { SuiteReport } from '../policy/suite.ts';
import { ApiError } from './client.ts';
import { fieldLines } from './failure.ts';
import { readBytes } from './json-file.ts';
import { STDIN } from './secrets.ts';
import { printable } from './table.ts';

/** A file of the author's: its name for messages, and what it holds. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}

export async function readTextFile(file: string): Promise<TextFile> {
  const name = file === STDIN ? 'standard input' : file;
  return { name, text: (await readBytes(file, name)).toString('utf8') };
}

export async function readTextFiles(files: readonly string[]): Promise<TextFile[]> {
  return await Promise.all(files.map(readTextFile));
}

/** How the service names the text of a policy that it was sent: before line and column. */
const SENT = /(^|: )document:(?=\d+:\d+: )/;

/** Sends the text of a file, and lets what is wrong with it name the file. */
export async function sendFile<T>(file: TextFile, send: (document: string) => Promise<T>): Promise<T> {
  try {
    return await send(file.text);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const rename = (text: string): string =>
      text.replace(SENT, (_, before: string) => `${before}${file.name}:`);
    const errors = error.errors.map(({ path, message }) => ({ path, message: rename(message) }));
    throw error.retold({ detail: rename(error.message), errors });
  }
}

/** Throws `invalid_request` with every problem. The compiler is loaded only by commands that need it. */
export async function compileFile({ name, text }: TextFile): Promise<CompiledPolicy> {
  const { loadPolicy } = await import('../policy/policy.ts');
  return loadPolicy(text, name);
}

export type LintReport =
  | { readonly ok: true; readonly revision: number; readonly hash: string; readonly rules: number }
  | { readonly ok: false; readonly problems: readonly FieldError[] };

export async function lint(file: TextFile): Promise<LintReport> {
  try {
    const { revision, hash, model } = await compileFile(file);
    return { ok: true, revision, hash, rules: model.rules.length };
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const problems = error.errors.length > 0 ? error.errors : [{ path: '', message: error.message }];
    return { ok: false, problems };
  }
}

export function lintText(report: LintReport, name: string): string {
  if (report.ok)
    return `OK  ${printable(name)}: revision ${report.revision}, ${counted(report.rules, 'rule')}, hash ${report.hash}`;
  const { problems } = report;
  const head = `FAILED  ${printable(name)}: ${counted(problems.length, 'problem')}`;
  return [head, ...fieldLines({ errors: problems })].join('\n');
}

/** Runs suites against a policy, both from files: no service is needed. */
export async function testFiles(policy: CompiledPolicy, files: readonly TextFile[]): Promise<SuiteReport[]> {
  const { parseSuites, runSuite } = await import('../policy/suite.ts');
  return files.map(({ name, text }) => runSuite(policy, parseSuites(text, name)));
}

export function suitesText(reports: readonly SuiteReport[]): string {
  const lines = reports.flatMap(({ file, suite, tests }) => [
    `${printable(file)}: ${printable(suite)}`,
    ...tests.flatMap(({ name, passed, why }) => [
      `  ${passed ? 'ok    ' : 'FAILED'}  ${printable(name)}`,
      ...(passed || why === undefined ? [] : [`          ${printable(why)}`]),
    ]),
  ]);
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  const failed = reports.reduce((sum, report) => sum + report.failed, 0);
  return [...lines, `${passed} passed, ${failed} failed`].join('\n');
}

export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
