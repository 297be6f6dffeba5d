import { Option, type Command } from 'commander';
import type { Decision } from '../policy/decision.ts';
import { CountersignError, type FieldError } from '../errors.ts';
import type { PolicyAnswer } from './answers.ts';
import { EXIT, fieldLines } from './failure.ts';
import { readBytes } from './json-file.ts';
import { addOperations } from './operations.ts';
import { principalId } from './principal.ts';
import { STDIN } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';

export function addPolicyCommands(program: Command, host: Host): void {
  const group = addCommand(program, 'policy', 'look at the policy, check a file, ask what would be decided');

  addCommand(group, 'show', 'the policy in force, as YAML').action(async (_options, command: Command) => {
    const session = openSession(host, command);
    const answer = await session.client().get<PolicyAnswer>('/v1/policy');
    const { stringify } = await import('yaml');
    session.print(answer, ({ revision, hash, document }) => {
      const yaml = stringify(document, {
        defaultStringType: 'QUOTE_DOUBLE',
        defaultKeyType: 'PLAIN',
        lineWidth: 0,
      });
      return `# revision ${revision}, hash ${hash}\n${yaml.trimEnd()}`;
    });
  });

  addCommand(group, 'lint <file>', 'check a policy file, without any service; - for standard input').action(
    async (file: string, _options: object, command: Command) => {
      const session = openSession(host, command);
      const name = file === STDIN ? 'standard input' : file;
      const report = await lint((await readBytes(file, name)).toString('utf8'), name);
      session.print(report, (found) => lintText(found, name));
      if (!report.ok) host.setExitCode(EXIT.error);
    },
  );

  const explain = addCommand(
    group,
    'explain',
    'what the policy would decide; exit code 3 when it would deny. Nothing is signed',
  );
  const extend = (command: Command): Command =>
    command.addOption(
      new Option('--principal <principal>', 'who would ask, by name or id; yourself when absent'),
    );
  addOperations(explain, 'ask about', extend, async ({ key, operation, body, command }) => {
    const session = openSession(host, command);
    const client = session.client();
    const asked = command.opts<{ principal?: string }>().principal;
    const principal = asked === undefined ? undefined : await principalId(client, asked);
    const decision = await client.post<Decision>('/v1/policy/evaluate', {
      ...body,
      key,
      operation,
      principal,
    });
    session.print(decision, decisionText);
    if (decision.effect === 'deny') host.setExitCode(EXIT.denied);
  });
}

type LintReport =
  | { readonly ok: true; readonly revision: number; readonly hash: string; readonly rules: number }
  | { readonly ok: false; readonly problems: readonly FieldError[] };

async function lint(text: string, name: string): Promise<LintReport> {
  const { loadPolicy } = await import('../policy/policy.ts');
  try {
    const { revision, hash, document } = loadPolicy(text, name);
    return { ok: true, revision, hash, rules: document.rules.length };
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    const problems = error.errors.length > 0 ? error.errors : [{ path: '', message: error.message }];
    return { ok: false, problems };
  }
}

function lintText(report: LintReport, name: string): string {
  if (report.ok)
    return `OK  ${printable(name)}: revision ${report.revision}, ${counted(report.rules, 'rule')}, hash ${report.hash}`;
  const { problems } = report;
  const head = `FAILED  ${printable(name)}: ${counted(problems.length, 'problem')}`;
  return [head, ...fieldLines({ errors: problems })].join('\n');
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function decisionText({ effect, rule, reason, policyRevision, failed = [] }: Decision): string {
  return details([
    ['decision', effect],
    ['rule', rule ?? 'none'],
    ['reason', reason],
    ...failed.map((near) => ['came close', `${near.rule}: ${near.predicate}`] as const),
    ['policy', `revision ${policyRevision}`],
  ]);
}
