import { Option, type Command } from 'commander';
import type { ExplanationAnswer, PolicyAnswer, ReplayAnswer } from './answers.ts';
import { EXIT } from './failure.ts';
import { addOperations } from './operations.ts';
import {
  compileFile,
  counted,
  lint,
  lintText,
  readTextFile,
  readTextFiles,
  sendFile,
  suitesText,
  testFiles,
} from './policy-file.ts';
import { versionNumber } from './options.ts';
import { principalId } from './principal.ts';
import { createProgress } from './progress.ts';
import { addProposalCommands } from './proposal.ts';
import { addCommand, openSession, type Host, type Session } from './session.ts';
import { details, printable, table } from './table.ts';

export function addPolicyCommands(program: Command, host: Host): void {
  const group = addCommand(
    program,
    'policy',
    'look at the policy, check, test and compare files, propose changes, ask what would be decided',
  );

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
      const source = await readTextFile(file);
      const report = await lint(source);
      session.print(report, (found) => lintText(found, source.name));
      if (!report.ok) host.setExitCode(EXIT.error);
    },
  );

  addCommand(
    group,
    'test <file> <suites...>',
    'run test suites against a policy file, without any service',
  ).action(async (file: string, suites: string[], _options: object, command: Command) => {
    const session = openSession(host, command);
    const policy = await compileFile(await readTextFile(file));
    const reports = await testFiles(policy, await readTextFiles(suites));
    session.print({ suites: reports }, () => suitesText(reports));
    if (reports.some(({ failed }) => failed > 0)) host.setExitCode(EXIT.error);
  });

  addCommand(
    group,
    'diff <file> [other]',
    'what a policy file changes, in words: against the policy in force or, with two files, against the first',
  ).action(async (file: string, other: string | undefined, _options: object, command: Command) => {
    const session = openSession(host, command);
    const changes = other === undefined ? await diffFromForce(session, file) : await diffFiles(file, other);
    session.print({ changes }, () =>
      changes.length === 0 ? 'no difference' : changes.map(printable).join('\n'),
    );
  });

  addProposalCommands(group, host);

  addCommand(group, 'replay <file>', 'what a policy file would have decided of what is in the log')
    .option('--from <time>', 'RFC 3339, such as 2026-11-01T00:00:00Z; from the beginning when absent')
    .option('--to <time>', 'until the end when absent')
    .action(async (name: string, { from, to }: Range, command: Command) => {
      const session = openSession(host, command);
      const file = await readTextFile(name);
      const answer = await sendFile(file, (document) => replay(session, document, { from, to }));
      session.print(answer, replayText);
    });

  addExplain(group, host);
}

interface ExplainOptions {
  readonly principal?: string;
  readonly policy?: string;
  readonly version?: number;
  readonly breakGlass?: string;
}

function addExplain(group: Command, host: Host): void {
  const explain = addCommand(
    group,
    'explain',
    'what the policy would decide, and why; exit code 3 when it would deny. Nothing is signed',
  );
  const extend = (command: Command): Command =>
    command
      .addOption(new Option('--principal <principal>', 'who would ask, by name or id; yourself when absent'))
      .option('--policy <file>', 'a policy file to ask, in place of the policy in force')
      .option('--version <number>', 'version of the key; the primary when absent', versionNumber)
      .option('--break-glass <reason>', 'as if it were asked that a denial be overridden');
  addOperations(explain, 'ask about', extend, async ({ key, operation, body, command }) => {
    const session = openSession(host, command);
    const client = session.client();
    const { policy, version, breakGlass, ...asked } = command.opts<ExplainOptions>();
    const principal = asked.principal === undefined ? undefined : await principalId(client, asked.principal);
    const question = { ...body, key, operation, principal, version, breakGlass };
    const ask = (document?: string): Promise<ExplanationAnswer> =>
      client.post('/v1/policy/evaluate', { ...question, document });
    const answer = await (policy === undefined ? ask() : sendFile(await readTextFile(policy), ask));
    session.print(answer, explanationText);
    if (answer.effect === 'deny') host.setExitCode(EXIT.denied);
  });
}

interface Range {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

async function diffFiles(before: string, after: string): Promise<string[]> {
  const { diffPolicies } = await import('../policy/diff.ts');
  const [one, other] = [
    await compileFile(await readTextFile(before)),
    await compileFile(await readTextFile(after)),
  ];
  return diffPolicies(one, other).map(({ text }) => text);
}

async function diffFromForce(session: Session, file: string): Promise<readonly string[]> {
  const send = (document: string): Promise<{ readonly changes: readonly string[] }> =>
    session.client().post('/v1/policy/diff', { document });
  return (await sendFile(await readTextFile(file), send)).changes;
}

/** Page by page, so that a long log is no long request. */
async function replay(session: Session, document: string, range: Range): Promise<ReplayAnswer> {
  const client = session.client();
  const progress = createProgress(session.terminal, 'replayed entries');
  const changed: ReplayAnswer['changed'] = [];
  let [evaluated, skipped] = [0, 0];
  let cursor: string | undefined;
  try {
    for (;;) {
      const page: ReplayAnswer = await client.post('/v1/policy/replay', { document, ...range, cursor });
      changed.push(...page.changed);
      evaluated += page.evaluated;
      skipped += page.skipped;
      cursor = page.nextCursor ?? undefined;
      progress.update(Number(cursor ?? page.size), page.size);
      if (cursor === undefined) return { ...page, evaluated, skipped, changed };
    }
  } finally {
    progress.end();
  }
}

function replayText({ evaluated, skipped, changed }: ReplayAnswer): string {
  const summary = `${counted(evaluated, 'decision')} replayed, ${changed.length} would change, ${skipped} could not be replayed`;
  if (changed.length === 0) return summary;
  const rows = changed.map(({ index, time, principal, key, operation, before, after }) => [
    `${index}`,
    time,
    principal,
    key,
    operation,
    `${before.effect}${before.rule === undefined ? '' : ` (${before.rule})`}`,
    `${after.effect}${after.rule === undefined ? '' : ` (${after.rule})`}`,
    after.reason,
  ]);
  const head = ['ENTRY', 'TIME', 'PRINCIPAL', 'KEY', 'OPERATION', 'WAS', 'WOULD BE', 'BECAUSE'];
  return [table(head, rows), '', summary].join('\n');
}

function explanationText(answer: ExplanationAnswer): string {
  const { explanation, effects } = answer;
  const head = details([
    ['decision', answer.effect],
    ['rule', answer.rule ?? 'none'],
    ['approvals', answer.approvals?.join(', ')],
    ['reason', answer.reason],
    ['policy', `revision ${answer.policyRevision}`],
  ]);
  const rules = explanation.rules.map(
    ({ rule, effect, shadow, matches, failed }) =>
      `  ${matches ? 'matches ' : 'no match'}  ${rule} (${effect}${shadow ? ', shadow' : ''})${failed === undefined ? '' : `: ${failed}`}`,
  );
  const limits = explanation.limits.map(({ limit, scope, inWords }) => `  ${limit} for ${scope}: ${inWords}`);
  return [
    head,
    ...section(
      'What it does',
      effects.map((line) => `  ${line}`),
    ),
    ...section('Rules', rules),
    ...section('Limits', limits),
  ].join('\n');
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', `${title}:`, ...lines.map(printable)];
}
