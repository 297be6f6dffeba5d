import type { Command } from 'commander';
import { CountersignError, invalidField } from '../errors.ts';
import type { Operation } from '../intent/intent.ts';
import { parseAmount } from '../policy/amount.ts';
import { readJsonFile } from './json-file.ts';
import { addCommand } from './session.ts';

/** One thing to sign, or to ask the policy about, as the command line gave it. */
export interface Asked {
  readonly key: string;
  readonly operation: Operation;
  /** The fields of the operation's request body. */
  readonly body: { readonly [name: string]: unknown };
  readonly command: Command;
}

/** Adds the options of the command's own, beside those of the operation. */
export type Extend = (command: Command) => Command;

interface TransactionFlags {
  readonly input?: string;
  readonly to?: string;
  readonly value?: string;
  readonly data?: string;
  readonly chainId?: string;
  readonly nonce?: string;
  readonly gasLimit?: string;
  readonly maxFeePerGas?: string;
  readonly maxPriorityFeePerGas?: string;
  readonly gasPrice?: string;
}

/** The five operations as subcommands: `sign` and `policy explain` take them in the same words. */
export function addOperations(
  parent: Command,
  verb: string,
  extend: Extend,
  run: (asked: Asked) => Promise<void>,
): void {
  const transaction = addCommand(parent, 'tx <key>', `${verb} a transaction`)
    .option(
      '--input <file>',
      'the API\'s transaction object as JSON, alone or as {"transaction": …}; - is standard input',
    )
    .option('--to <address>', 'recipient; absent to create a contract')
    .option('--value <amount>', 'wei, or an amount with its unit: "0.5 ether"')
    .option('--data <hex>', 'calldata')
    .option('--chain-id <number>')
    .option('--nonce <number>')
    .option('--gas-limit <number>')
    .option('--max-fee-per-gas <amount>', 'wei, or an amount with its unit: "30 gwei"')
    .option('--max-priority-fee-per-gas <amount>', 'the same')
    .option('--gas-price <amount>', 'for transactions of type 0');
  extend(transaction).action(async (key: string, flags: TransactionFlags, command: Command) => {
    const body = { transaction: await readTransaction(flags) };
    await run({ key, operation: 'transaction', body, command });
  });

  const message = addCommand(parent, 'message <key> [text]', `${verb} a message (EIP-191)`);
  message.option('--data <hex>', 'bytes, in place of the text');
  extend(message).action(
    async (key: string, text: string | undefined, { data }: { data?: string }, command: Command) => {
      if ((text === undefined) === (data === undefined))
        throw unclear('give the text of the message, or --data 0x…');
      await run({
        key,
        operation: 'message',
        body: text === undefined ? { data } : { message: text },
        command,
      });
    },
  );

  const typedData = addCommand(parent, 'typed-data <key>', `${verb} typed data (EIP-712)`);
  typedData.requiredOption(
    '--input <file>',
    'domain, types, primaryType and message as JSON; - is standard input',
  );
  extend(typedData).action(async (key: string, { input }: { input: string }, command: Command) => {
    await run({ key, operation: 'typed-data', body: await readJsonFile(input), command });
  });

  const authorization = addCommand(parent, 'authorization <key>', `${verb} an authorization (EIP-7702)`)
    .requiredOption('--chain-id <number>')
    .requiredOption('--address <address>', 'the contract to delegate to')
    .requiredOption('--nonce <number>');
  type Authorization = { chainId: string; address: string; nonce: string };
  extend(authorization).action(
    async (key: string, { chainId, address, nonce }: Authorization, command: Command) => {
      await run({ key, operation: 'authorization', body: { chainId, address, nonce }, command });
    },
  );

  const digest = addCommand(parent, 'digest <key> <digest>', `${verb} 32 bytes as they are`);
  digest.requiredOption('--purpose <text>', 'what the digest is; the policy and the audit log name it');
  extend(digest).action(
    async (key: string, bytes: string, { purpose }: { purpose: string }, command: Command) => {
      await run({ key, operation: 'digest', body: { digest: bytes, purpose }, command });
    },
  );
}

async function readTransaction(flags: TransactionFlags): Promise<{ readonly [name: string]: unknown }> {
  const { input, to, data, chainId, nonce, gasLimit } = flags;
  const given = {
    to,
    value: toWei('--value', flags.value),
    data,
    chainId,
    nonce,
    gasLimit,
    maxFeePerGas: toWei('--max-fee-per-gas', flags.maxFeePerGas),
    maxPriorityFeePerGas: toWei('--max-priority-fee-per-gas', flags.maxPriorityFeePerGas),
    gasPrice: toWei('--gas-price', flags.gasPrice),
  };
  const none = Object.values(given).every((value) => value === undefined);
  if (input === undefined) {
    if (none)
      throw unclear(
        'give the transaction: --input FILE, --input - for standard input, or flags such as --to',
      );
    return given;
  }
  if (!none) throw unclear('give the transaction with --input or with flags, not both');
  return unwrapped(await readJsonFile(input));
}

/** The transaction itself, also where the whole request body `{"transaction": …}` was given. */
function unwrapped(given: { readonly [name: string]: unknown }): { readonly [name: string]: unknown } {
  const { transaction, ...rest } = given;
  const wrapped =
    typeof transaction === 'object' &&
    transaction !== null &&
    !Array.isArray(transaction) &&
    Object.keys(rest).length === 0;
  return wrapped ? (transaction as { readonly [name: string]: unknown }) : given;
}

/** Amounts with a unit become wei; everything else is for the service to judge. */
function toWei(option: string, text: string | undefined): string | undefined {
  if (text?.includes(' ') !== true) return text;
  const amount = parseAmount(text);
  if ('problem' in amount) throw invalidField(option, amount.problem);
  return `${amount.value}`;
}

function unclear(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
