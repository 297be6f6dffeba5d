import { InvalidArgumentError, type Command } from 'commander';
import { CountersignError } from '../errors.ts';
import type { Rotation, RotationPreview } from './answers.ts';
import { pathStep } from './client.ts';
import { confirmByName } from './confirm.ts';
import { collect } from './options.ts';
import { rotationText } from './rotation.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details, printable } from './table.ts';

interface RotateOptions {
  readonly overlap?: string;
  readonly drain?: string;
  readonly destroyAfter?: number | 'never';
  readonly wait?: readonly string[];
  readonly emergency?: true;
  readonly reason?: string;
  readonly dryRun?: true;
  readonly yes?: true;
}

/** `key rotate`: shows the plan, asks, and starts. */
export function addKeyRotateCommand(group: Command, host: Host): void {
  addCommand(group, 'rotate <name>', 'give a key a new version; shows what it would do, and asks first')
    .option('--overlap <duration>', 'how long both versions sign: 24h when absent')
    .option('--drain <duration>', 'how long the old one signs what rules for draining allow: 7d when absent')
    .option(
      '--destroy-after <days>',
      'destroy the old one so many days after that: 30 when absent, or never',
      days,
    )
    .option('--wait <for:step>', 'person:cutover, or webhook:NAME:disable; may be repeated', collect)
    .option('--emergency', 'compromise the primary and replace it at once; takes --reason')
    .option('--reason <text>', 'of an emergency; kept in the audit log')
    .option('--dry-run', 'show what it would do, and do nothing')
    .option('--yes', 'do not ask for the name of the key')
    .action(async (name: string, options: RotateOptions, command: Command) => {
      const session = openSession(host, command);
      const client = session.client();
      const path = `/v1/keys/${pathStep('name', name)}/rotations`;
      const body = bodyOf(options);
      const { dryRun = false, yes = false } = options;
      if (dryRun) {
        session.print(await client.post<RotationPreview>(path, { ...body, dryRun }), previewText);
        return;
      }
      if (!yes) {
        const preview = await client.post<RotationPreview>(path, { ...body, dryRun: true });
        session.terminal.err(`${previewText(preview)}\n`);
      }
      await confirmByName(name, yes, session.terminal);
      const { id } = await client.post<Rotation>(path, body);
      session.print(await client.get<Rotation>(`/v1/rotations/${id}`), rotationText);
    });
}

function bodyOf({ overlap, drain, destroyAfter, wait = [], emergency, reason }: RotateOptions): object {
  if (emergency !== undefined) {
    if (reason === undefined) throw unclear('--emergency takes --reason');
    return { mode: 'emergency', reason };
  }
  if (reason !== undefined) throw unclear('--reason is for --emergency');
  const destroyAfterDays = destroyAfter === 'never' ? null : destroyAfter;
  return { plan: { overlap, drain, destroyAfterDays, waits: wait.map(readWait) } };
}

function readWait(text: string): object {
  const [type, ...rest] = text.split(':');
  const before = rest.pop();
  const [name, ...more] = rest;
  if (type === 'person' && before !== undefined && name === undefined) return { type, before };
  if ((type === 'webhook' || type === 'condition') && name !== undefined && more.length === 0)
    return { type, before, [type]: name };
  throw unclear(`--wait ${text}: write person:STEP, webhook:NAME:STEP or condition:NAME:STEP`);
}

function days(text: string): number | 'never' {
  if (text === 'never') return text;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a whole number of days, or never');
}

function previewText(preview: RotationPreview): string {
  const { key, mode, old, steps, policy, requests, limits, nonces, warnings } = preview;
  const rules = (policy?.rules ?? []).map(({ rule, draining }) => (draining ? `${rule} (draining)` : rule));
  const head = details([
    ['key', key],
    ['mode', mode],
    ['old', `version ${old.version}, ${old.address}`],
    ['new', `version ${preview.new.version}, whose address is not known before it is made`],
    ['rules', rules.join(', ')],
    ['requests', requests.map(({ id }) => id).join(', ')],
    [
      'limits',
      limits.map(({ limit, scope, used, max }) => `${limit} ${scope}: ${used} of ${max}`).join(', '),
    ],
    ['nonces', nonces.map(({ chainId, nonce }) => `${nonce} on chain ${chainId}`).join(', ')],
  ]);
  const lines = steps.flatMap(({ step, from, waits, abort }) => [
    `  ${step} from ${from}${waits.length > 0 ? `, and after ${waits.join(', ')}` : ''}`,
    `    an abort before it: ${abort}`,
  ]);
  return [
    head,
    '',
    'Steps:',
    ...lines.map(printable),
    ...(warnings.length > 0 ? ['', 'To know:', ...warnings.map((each) => `  ${printable(each)}`)] : []),
  ].join('\n');
}

function unclear(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
