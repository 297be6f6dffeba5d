import type { Command } from 'commander';
import { wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { DEFAULT_PATH, derivePrivateKey, parsePath } from '../keystore/hd-path.ts';
import { mnemonicSeed, readMnemonic, wellKnownMnemonic } from '../keystore/mnemonic.ts';
import type { WrappedSecret } from '../keystore/wrapped.ts';
import type { ImportedKey } from './answers.ts';
import { readJsonFile } from './json-file.ts';
import { newKeyFields, withNewKeyOptions, type NewKeyOptions } from './key-options.ts';
import { keyText } from './key-text.ts';
import { DEFAULT_NAME_PATTERN, importDirectory } from './keystore-directory.ts';
import { readSecret, STDIN } from './secrets.ts';
import { addCommand, openSession, type Host } from './session.ts';
import { details } from './table.ts';
import type { Terminal } from './terminal.ts';
import { importKey, wipeSecret } from './wrapping.ts';

interface ImportOptions extends NewKeyOptions {
  readonly keystore?: string;
  readonly keystoreDir?: string;
  readonly passwordFile?: string;
  readonly privateKeyFile?: string;
  readonly mnemonicFile?: string;
  readonly path?: string;
  readonly mnemonicPassphraseFile?: string;
  readonly namePattern?: string;
  readonly report?: string;
  readonly allowWellKnown?: true;
}

/** Options that each say where the key is. */
const SOURCES = ['keystore', 'keystoreDir', 'privateKeyFile', 'mnemonicFile'] as const;
/** Options that are about one of them only. */
const NEEDS: readonly (readonly [keyof ImportOptions, readonly (typeof SOURCES)[number][]])[] = [
  ['passwordFile', ['keystore', 'keystoreDir']],
  ['path', ['mnemonicFile']],
  ['mnemonicPassphraseFile', ['mnemonicFile']],
  ['namePattern', ['keystoreDir']],
  ['report', ['keystoreDir']],
];

export function addKeyImportCommand(group: Command, host: Host): void {
  const command = addCommand(
    group,
    'import [name]',
    'import a key, or a folder of them; what is secret is encrypted here, to the signer process',
  );
  withNewKeyOptions(command)
    .option('--keystore <file>', 'Web3 Secret Storage, version 3')
    .option(
      '--password-file <file>',
      'its password; - for standard input; asked for when absent. With --keystore-dir: passwords, one a line, or a folder of files of the same names',
    )
    .option(
      '--private-key-file <file>',
      '32 bytes in hex; - for standard input; asked for when nothing else is given',
    )
    .option('--mnemonic-file <file>', 'English words (BIP-39); - for standard input')
    .option('--path <path>', `of the key from the mnemonic (BIP-32); ${DEFAULT_PATH} when absent`)
    .option('--mnemonic-passphrase-file <file>', 'the passphrase of the mnemonic, where it has one')
    .option('--keystore-dir <folder>', 'every keystore file in a folder, as geth keeps them')
    .option('--name-pattern <pattern>', `names of those keys; ${DEFAULT_NAME_PATTERN} when absent`)
    .option('--report <file>', 'what became of each file, a line of JSON each; added to the end')
    .option('--allow-well-known', 'also a key that the public knows; for test chains')
    .action(async (name: string | undefined, options: ImportOptions, command: Command) => {
      const session = openSession(host, command);
      checkCombination(name, options);
      const { allowWellKnown = false } = options;
      const fields = { ...newKeyFields(options), allowWellKnown };
      if (options.keystoreDir !== undefined) {
        await importDirectory(session, { ...options, folder: options.keystoreDir, fields });
        return;
      }
      const secret = await readKey(options, session.terminal);
      try {
        session.print(
          await importKey(session.client(), { name: name ?? '', ...fields }, secret),
          importedText,
        );
      } finally {
        wipeSecret(secret);
      }
    });
}

function checkCombination(name: string | undefined, options: ImportOptions): void {
  const given = SOURCES.filter((source) => options[source] !== undefined);
  if (given.length > 1) throw unclear(`give ${given.slice(0, 2).map(optionOf).join(' or ')}, not both`);
  for (const [option, sources] of NEEDS) {
    if (options[option] === undefined || sources.some((source) => given.includes(source))) continue;
    throw unclear(`${optionOf(option)} needs ${sources.map(optionOf).join(' or ')}`);
  }
  const isFolder = options.keystoreDir !== undefined;
  if (isFolder && name !== undefined)
    throw unclear('with --keystore-dir, keys are named by --name-pattern: give no name');
  if (!isFolder && name === undefined) throw unclear('give a name for the key');
}

async function readKey(options: ImportOptions, terminal: Terminal): Promise<WrappedSecret> {
  const { keystore, passwordFile, mnemonicFile, privateKeyFile } = options;
  if (mnemonicFile !== undefined) return await readMnemonicKey(mnemonicFile, options, terminal);
  if (keystore === undefined) return await readPrivateKey(privateKeyFile, terminal);
  if (keystore === STDIN && passwordFile === STDIN)
    throw unclear('standard input cannot be both keystore and password');
  const file = Buffer.from(JSON.stringify(await readJsonFile(keystore)));
  const name = 'the password of the keystore';
  const password = await readSecret({ name, option: '--password-file', file: passwordFile }, terminal);
  return { form: 'keystore', keystore: file, password };
}

async function readMnemonicKey(
  file: string,
  { path = DEFAULT_PATH, mnemonicPassphraseFile, allowWellKnown }: ImportOptions,
  terminal: Terminal,
): Promise<WrappedSecret> {
  const steps = parsePath(path);
  if (file === STDIN && mnemonicPassphraseFile === STDIN)
    throw unclear('standard input cannot be both mnemonic and passphrase');
  const text = await readSecret({ name: 'the mnemonic', option: '--mnemonic-file', file }, terminal);
  const secrets: Buffer[] = [text];
  try {
    const phrase = readMnemonic(text);
    secrets.push(phrase);
    const origin = wellKnownMnemonic(phrase);
    if (origin !== undefined && allowWellKnown !== true) {
      throw new CountersignError(
        'unprocessable',
        `this mnemonic is public knowledge (${origin}): what is sent to any of its accounts is lost. Give --allow-well-known for a test chain`,
      );
    }
    const passphrase = await readPassphrase(mnemonicPassphraseFile, terminal);
    const seed = mnemonicSeed(phrase, passphrase);
    secrets.push(passphrase, seed);
    return { form: 'private-key', privateKey: derivePrivateKey(seed, steps) };
  } finally {
    wipe(...secrets);
  }
}

async function readPassphrase(file: string | undefined, terminal: Terminal): Promise<Buffer> {
  if (file === undefined) return Buffer.alloc(0);
  const name = 'the passphrase of the mnemonic';
  return await readSecret({ name, option: '--mnemonic-passphrase-file', file }, terminal);
}

async function readPrivateKey(file: string | undefined, terminal: Terminal): Promise<WrappedSecret> {
  const name = 'the private key';
  const text = await readSecret({ name, option: '--private-key-file', file }, terminal);
  try {
    return { form: 'private-key', privateKey: hexBytes(text) };
  } finally {
    wipe(text);
  }
}

/** 32 bytes from hex, with or without `0x` and white space around, and without a string of them. */
function hexBytes(text: Buffer): Buffer {
  const digits = text.subarray(text.findIndex((byte) => byte > 0x20));
  const start = digits[0] === 0x30 && (digits[1] === 0x78 || digits[1] === 0x58) ? 2 : 0;
  const end = digits.findLastIndex((byte) => byte > 0x20) + 1;
  const bytes = Buffer.from(new ArrayBuffer(32));
  if (end - start === 64) {
    let bad = false;
    for (let at = 0; at < 64; at++) {
      const digit = digitOf(digits[start + at] ?? 0);
      bad ||= digit === undefined;
      bytes[at >> 1] = ((bytes[at >> 1] ?? 0) << 4) | (digit ?? 0);
    }
    if (!bad) return bytes;
  }
  wipe(bytes);
  throw unclear('the private key is not 32 bytes in hex');
}

function digitOf(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : undefined;
}

function importedText(imported: ImportedKey): string {
  const { keystore } = imported;
  if (keystore === undefined) return keyText(imported);
  const { kdf, ...parameters } = keystore.kdf;
  const said = Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
  const file = details([
    ['file', `${kdf}, ${said.join(' ')}`],
    ['weaker', keystore.belowFloor.length === 0 ? undefined : keystore.belowFloor.join('; ')],
    ['advice', keystore.advice],
  ]);
  return [keyText(imported), file].join('\n\n');
}

function optionOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function unclear(message: string): CountersignError {
  return new CountersignError('invalid_request', message);
}
