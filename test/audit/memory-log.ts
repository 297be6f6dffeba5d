import { generateKeyPairSync, sign } from 'node:crypto';
import type { Hex } from '../../src/bytes.ts';
import { toHex } from '../../src/bytes.ts';
import { formatCheckpoint } from '../../src/audit/tree/checkpoint.ts';
import { encodeEntry, type Entry, type EntryDraft } from '../../src/audit/entry.ts';
import { Frontier, leafHash } from '../../src/audit/tree/merkle.ts';
import { formatNote, formatVkey, noteSignature } from '../../src/audit/tree/note.ts';
import type { StoredEntry } from '../../src/audit/stored-entry.ts';
import type { LogSource } from '../../src/audit/verify/log.ts';
import { intentToJson } from '../../src/intent/codec.ts';
import { OPERATIONS, type Operation } from '../../src/intent/intent.ts';
import { digestOf, preimageOf, serializeSigned, transactionHash } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { addressOf, publicKeyOf, signDigest, splitSignature } from '../../src/secp256k1.ts';

/** What the entries of tests say wrote them. */
export const SERVICE = { node: 'test', version: '0.0.0' };

/** A public key of somebody who signs checkpoints, and what he signs. */
export interface Notary {
  readonly vkey: string;
  note(size: number, root: Buffer, origin?: string): string;
  /** A signed note over any text. */
  signed(text: string): string;
}

export function notary(name: string): Notary {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const signed = (text: string): string =>
    formatNote(text, [noteSignature(name, raw, sign(null, Buffer.from(text), privateKey))]);
  return {
    vkey: formatVkey(name, raw),
    note: (size, root, origin = name) => signed(formatCheckpoint({ origin, size, root })),
    signed,
  };
}

const PAGE = 7;

/** A log that can be damaged: plain arrays. */
export interface MemoryLog {
  readonly entries: StoredEntry[];
  readonly notes: string[];
}

export function sourceOf({ entries, notes }: MemoryLog): LogSource {
  return {
    size: entries.length,
    async *entries(from) {
      // In pages that are smaller than the logs of the tests.
      for (let at = from; at < entries.length; at += PAGE) yield entries.slice(at, at + PAGE);
    },
    async *checkpoints() {
      yield* notes;
    },
  };
}

/** The time of an entry: a second each. */
export function timeOf(index: number): string {
  return new Date(Date.UTC(2025, 0, 1) + 1_000 * index).toISOString();
}

export function storedEntry(index: number, entry: object): StoredEntry {
  const bytes = encodeEntry(entry as Entry);
  return { index, bytes, leafHash: leafHash(bytes) };
}

export function entryOf(index: number, draft: EntryDraft): Entry {
  return { ...draft, v: 1, index, time: timeOf(index), service: { ...SERVICE, epoch: 0 } };
}

/** The entry again, as it was before `encodeEntry`. */
export function readEntry(stored: StoredEntry): Record<string, unknown> {
  return JSON.parse(Buffer.from(stored.bytes).toString('utf8')) as Record<string, unknown>;
}

export function rootAt(log: MemoryLog, size: number): Buffer {
  const tree = new Frontier();
  for (const stored of log.entries.slice(0, size)) tree.append(Buffer.from(stored.leafHash));
  return tree.root();
}

/** Entries from drafts, and a checkpoint at each of the sizes. */
export function buildLog(drafts: readonly EntryDraft[], sizes: readonly number[], by: Notary): MemoryLog {
  const entries = drafts.map((draft, index) => storedEntry(index, entryOf(index, draft)));
  const log: MemoryLog = { entries, notes: [] };
  for (const size of sizes) log.notes.push(by.note(size, rootAt(log, size)));
  return log;
}

/** Private keys of tests, derived from small numbers. */
export function testKey(n: number): { privateKey: Buffer; address: Hex } {
  const privateKey = Buffer.alloc(32, n);
  return { privateKey, address: addressOf(publicKeyOf(privateKey)) };
}

/** What the service would log of a request that was signed. */
export function signedDraft(operation: Operation, body: unknown, keyNumber = 1): EntryDraft {
  const { privateKey, address } = testKey(keyNumber);
  const intent = parseIntent(operation, body);
  const digest = digestOf(operation, preimageOf(intent));
  const { r, s, yParity } = splitSignature(signDigest(digest, privateKey));
  return {
    kind: 'sign',
    outcome: 'done',
    key: { name: 'treasury', version: 1, address },
    operation,
    intent: intentToJson(intent),
    digest: toHex(digest),
    signature: toHex(Buffer.concat([r, s, Buffer.of(27 + yParity)])),
    ...(intent.operation === 'transaction' && {
      transactionHash: toHex(transactionHash(serializeSigned(intent.transaction, { r, s, yParity }))),
    }),
    decision: {
      effect: 'allow',
      rule: 'all',
      policyRevision: 1,
      policyHash: '00'.repeat(32),
      reason: 'rule all',
    },
  };
}

export const BODIES = {
  transaction: {
    transaction: {
      type: 2,
      chainId: '1',
      nonce: '7',
      to: `0x${'ab'.repeat(20)}`,
      value: '1000000000000000000',
      data: '0xa9059cbb',
      gasLimit: '21000',
      maxFeePerGas: '30000000000',
      maxPriorityFeePerGas: '1000000000',
    },
  },
  message: { message: 'Hello, world!' },
  'typed-data': {
    domain: { name: 'Ether Mail', chainId: 1 },
    types: { Mail: [{ name: 'contents', type: 'string' }] },
    primaryType: 'Mail',
    message: { contents: 'Hello, Bob!' },
  },
  authorization: { chainId: '1', address: `0x${'cd'.repeat(20)}`, nonce: '3' },
  digest: { digest: `0x${'5a'.repeat(32)}`, purpose: 'rollup-batch' },
} as const satisfies Record<Operation, unknown>;

/**
 * 40 entries, every second one signed, checkpoints by `owner`; `stranger` has the same name and another key.
 * Do not write to the log: damage a copy.
 */
export function mixedLog(): {
  readonly pristine: MemoryLog;
  readonly sizes: readonly number[];
  readonly owner: Notary;
  readonly stranger: Notary;
} {
  const owner = notary('example.com/countersign');
  const sizes = [0, 1, 8, 8, 20, 33];
  const pristine = buildLog(mixedDrafts(40), sizes, owner);
  return { pristine, sizes, owner, stranger: notary('example.com/countersign') };
}

function mixedDrafts(count: number): EntryDraft[] {
  return Array.from({ length: count }, (_, i) => {
    if (i % 2 === 0)
      return { kind: 'policy.loaded', outcome: 'done', detail: { revision: i, note: 'é€😀\n"' } };
    const operation = OPERATIONS[((i - 1) / 2) % OPERATIONS.length]!;
    return signedDraft(operation, BODIES[operation], 1 + (i % 3));
  });
}

export function copyOf({ entries, notes }: MemoryLog): MemoryLog {
  return { entries: [...entries], notes: [...notes] };
}

/** Writes another entry in its place, canonical and with the right leaf hash. */
export function setFields(log: MemoryLog, index: number, fields: object): void {
  log.entries[index] = storedEntry(index, { ...readEntry(log.entries[index]!), ...fields });
}
