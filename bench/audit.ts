import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EntryDraft } from '../src/audit/entry.ts';
import { AuditLog } from '../src/audit/log.ts';
import type { EntryFilter } from '../src/audit/stored-entry.ts';
import { ServedTree } from '../src/audit/served-tree.ts';
import { verifyProof } from '../src/audit/verify/proof.ts';
import { openSqliteStorage } from '../src/storage/sqlite/storage.ts';
import { notary } from '../test/audit/memory-log.ts';

/**
 * What an entry costs this process, and what tiles and proofs cost at a million of them: `node bench/audit.ts [entries]`.
 * Asserts what is proven, not how fast.
 */

const ENTRIES = Number(process.argv[2] ?? 1_000_000);
const BATCH = 512;
const SAMPLES = 1_000;

/** Members in the order in which the service gives them. */
const DRAFT: EntryDraft = {
  actor: { address: '127.0.0.1', credential: '0123456789abcdef', principal: 'payments', roles: ['signer'] },
  decision: {
    effect: 'allow',
    policyHash: '00'.repeat(32),
    policyRevision: 1,
    reason: 'rule pay',
    rule: 'pay',
  },
  digest: `0x${'5a'.repeat(32)}`,
  elapsedUs: 180,
  intent: { message: 'Hello, world! Hello, world! Hello, world!' },
  key: { address: `0x${'ab'.repeat(20)}`, name: 'treasury', version: 1 },
  kind: 'sign',
  operation: 'message',
  outcome: 'done',
  requestId: '6f1c8e52-3d0b-4c55-9a67-2b8f0d1e7a34',
  signature: `0x${'5b'.repeat(65)}`,
};

/** Common values, rare ones, and some that never come together: a search has to find that out. */
function draftAt(i: number): EntryDraft {
  const isRare = i % 4_001 === 7;
  return {
    ...DRAFT,
    outcome: isRare ? 'denied' : 'done',
    actor: { ...DRAFT.actor, principal: `payments-${(i * 7_919) % 100}` },
    key: { ...DRAFT.key!, name: `treasury-${(i * 104_729) % 50}` },
    operation: i % 3 === 0 ? 'message' : 'transaction',
    decision: { ...DRAFT.decision!, effect: isRare ? 'deny' : 'allow' },
  };
}

const QUERIES: readonly EntryFilter[] = [
  {},
  { kind: 'sign' },
  { principal: 'payments-5' },
  { outcome: 'denied' },
  { outcome: 'denied', principal: 'payments-5', key: 'treasury-3' },
  { principal: 'payments-1', key: 'treasury-2' },
  { kind: 'seal.sealed' },
];

const folder = mkdtempSync(path.join(tmpdir(), 'bench-audit-'));
const storage = openSqliteStorage(folder, () => 'example.org/log');
try {
  const log = new AuditLog(storage, { node: 'bench', version: '0' });
  const start = performance.now();
  const cpu = process.cpuUsage();
  while (log.size < ENTRIES) {
    const count = Math.min(BATCH, ENTRIES - log.size);
    const from = log.size;
    await Promise.all(
      Array.from({ length: count }, (_, i) => log.record(draftAt(from + i), () => undefined)),
    );
  }
  const { user, system } = process.cpuUsage(cpu);
  const perEntry = (microseconds: number): string => (microseconds / ENTRIES).toFixed(1);
  const wall = (performance.now() - start) * 1_000;
  console.log(
    `append, ${BATCH} a commit: ${perEntry(user + system)} us CPU an entry (${perEntry(user)} user), ${perEntry(wall)} us wall`,
  );

  for (const order of ['asc', 'desc'] as const) {
    for (const filter of QUERIES) {
      const from = order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER;
      const found = (): number => storage.reads.entries({ ...filter, order, from, limit: 101 }).length;
      measure(`first page, ${order}, ${JSON.stringify(filter)}: ${found()} entries`, found, 51);
    }
  }

  const owner = notary('example.org/log');
  const checkpoint = { size: log.size, note: owner.note(log.size, log.tree.root()) };
  const tree = new ServedTree(() => log.size, storage.reads);
  const anyIndex = (below: number): number => Math.floor(Math.random() * below);
  measure(`proof at ${ENTRIES} entries`, () => tree.proof(anyIndex(ENTRIES), checkpoint));
  measure('tile of level 0', () => tree.tile(0, { index: anyIndex(Math.floor(ENTRIES / 256)), width: 256 }));
  measure('tile of level 1', () =>
    tree.tile(1, { index: 0, width: Math.min(256, Math.floor(ENTRIES / 256)) }),
  );
  measure('bundle of 256 entries', () =>
    tree.bundle({ index: anyIndex(Math.floor(ENTRIES / 256)), width: 256 }),
  );
  const index = anyIndex(ENTRIES);
  const proof = tree.proof(index, checkpoint);
  const { leafHash } = storage.reads.entry(index)!;
  measure('offline check of a proof', () => verifyProof(proof, { leafHash }, owner.vkey));
} finally {
  storage.close();
  rmSync(folder, { recursive: true });
}

function measure(what: string, run: () => unknown, samples = SAMPLES): void {
  const times = Array.from({ length: samples }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  }).toSorted((a, b) => a - b);
  const at = (share: number): string => times[Math.floor(share * (samples - 1))]!.toFixed(2);
  console.log(`${what}: median ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}
