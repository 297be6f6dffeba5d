import { randomBytes, randomUUID } from 'node:crypto';
import type { EntryDraft } from '../src/audit/entry.ts';
import { AuditLog } from '../src/audit/log.ts';
import { toHex } from '../src/bytes.ts';
import type { Key } from '../src/keystore/keys.ts';
import { openSqliteStorage, type StorageTx } from '../src/storage/sqlite/storage.ts';

const AT_ONCE = 512;
/** A service claims nonces of few of its keys. */
const USED_KEYS = 1_000;

/** What there is to be in a data directory, with what is there already. */
export interface Filled {
  readonly keys: number;
  readonly entries: number;
}

export function nameOf(i: number): string {
  // In another order than they are made in.
  return `key-${((i * 7_919) % 1_000_003).toString().padStart(7, '0')}`;
}

/**
 * Writes keys and signed transactions into the storage of a service that does not run, through its own log: each key with
 * its entry, each transaction with its entry and its nonce. What is sealed is a stranger's, which no service opens.
 *
 * @param from number of the first key, which the service has not made yet
 */
export async function fill(directory: string, from: number, { keys, entries }: Filled): Promise<void> {
  const storage = openSqliteStorage(directory, () => 'example.org/log');
  try {
    const log = new AuditLog<StorageTx>(storage, { node: 'bench', version: '0' });
    const [one] = storage.reads.keys();
    if (one === undefined) throw new Error('there is no key to go by');
    const sealed = Buffer.from(storage.reads.sealedKey(one.id, 1));
    const used: Key[] = [];
    await inCommits(from, keys, (i) => {
      const name = nameOf(i);
      const address = toHex(randomBytes(20));
      const version = { ...one.versions[0]!, address, publicKey: toHex(randomBytes(65)) };
      const key = { ...one, id: randomUUID(), name, versions: [version] };
      if (used.length < USED_KEYS) used.push(key);
      const draft = { kind: 'key.created', outcome: 'done', key: { name, version: 1, address } } as const;
      return log.record(draft, (tx) => tx.insertKey(key, sealed));
    });
    if (used.length === 0) used.push(one);
    await inCommits(log.size, entries, (i) => {
      const key = used[i % used.length]!;
      const slot = { keyId: key.id, version: 1, chainId: '31337', nonce: `${i}` };
      return log.record(signed(key, i), (tx) =>
        tx.addNonceClaim(slot, {
          digest: toHex(randomBytes(32)),
          effects: '',
          maxFee: 2_000_000_000n,
          maxPriorityFee: 1_000_000_000n,
          cancel: false,
          charges: [],
        }),
      );
    });
  } finally {
    storage.close();
  }
}

async function inCommits(from: number, to: number, write: (i: number) => Promise<unknown>): Promise<void> {
  for (let at = from; at < to; at += AT_ONCE) {
    const count = Math.min(AT_ONCE, to - at);
    await Promise.all(Array.from({ length: count }, (_, i) => write(at + i)));
  }
}

function signed(key: Key, i: number): EntryDraft {
  return {
    kind: 'sign',
    outcome: 'done',
    requestId: randomUUID(),
    actor: {
      principal: `payments-${i % 100}`,
      credential: '0123456789abcdef',
      address: '127.0.0.1',
      roles: ['signer'],
    },
    key: { name: key.name, version: 1, address: key.versions[0]!.address },
    operation: 'transaction',
    intent: {
      type: 2,
      chainId: '31337',
      nonce: `${i}`,
      to: `0x${'11'.repeat(20)}`,
      value: '1000000000000000',
    },
    digest: toHex(randomBytes(32)),
    signature: toHex(randomBytes(65)),
    decision: {
      effect: 'allow',
      rule: 'payouts',
      policyRevision: 1,
      policyHash: '00'.repeat(32),
      reason: 'rule payouts',
    },
    elapsedUs: 180,
  };
}
