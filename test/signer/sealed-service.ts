import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemAct, type Act } from '../../src/audit/act.ts';
import { AuditLog } from '../../src/audit/log.ts';
import { fromHex } from '../../src/bytes.ts';
import { digestOf, preimageOf } from '../../src/intent/preimage.ts';
import { parseIntent } from '../../src/intent/schema.ts';
import { sealKeyFile } from '../../src/keystore/seal-file.ts';
import { isSignatureOf } from '../../src/secp256k1.ts';
import { KeyService } from '../../src/signer/keys.ts';
import type { RootKeyLimits } from '../../src/signer/root-key.ts';
import { createSealing, type Sealing } from '../../src/signer/sealing.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';

/** The parts around the seal, over a real database and a real signer process, with a clock that the test moves. */
export interface SealedService extends Sealing {
  readonly storage: Storage;
  readonly act: Act<StorageTx>;
  readonly keys: KeyService;
  readonly supervisor: SignerSupervisor;
  /** Kinds of the entries so far whose name begins so. */
  kinds(prefix: string): string[];
  /** Called before each commit of an entry of that kind; throws to make it fail. Until it is undefined again. */
  onCommit(hook: ((kind: string) => void) | undefined): void;
  /** Resolves when a signer process has taken the place of one that was lost. */
  replaced(): Promise<void>;
  /** What the key file of a `file` seal holds, as whoever has the machine gives it. */
  sealKey(): { readonly type: 'file'; readonly secret: Buffer };
  advance(ms: number): void;
  /** Signs with each version of each key that is there; throws when one does not. */
  allSign(): Promise<number>;
  /** Closes everything and opens it again; it is as sealed as a start leaves it. */
  restart(): Promise<void>;
  end(): Promise<void>;
}

const preimage = preimageOf(parseIntent('message', { message: 'x' }));
const digest = digestOf('message', preimage);
const NO_LIMITS: RootKeyLimits = { maxEncryptions: 2 ** 31, maxAgeDays: 365 };

export async function sealedService(limits: RootKeyLimits = NO_LIMITS): Promise<SealedService> {
  const data = mkdtempSync(path.join(tmpdir(), 'countersign-seal-'));
  let ahead = 0;
  let hook: ((kind: string) => void) | undefined;
  const kinds: string[] = [];
  let ready = Promise.withResolvers<void>();

  const open = async () => {
    const storage = openSqliteStorage(data, () => 'countersign.local/test');
    const audit = new AuditLog<StorageTx>(storage, { node: 'test', version: '0' });
    const system = systemAct<StorageTx>(audit);
    const watched = async <T>(kind: string, write: () => Promise<T>): Promise<T> => {
      hook?.(kind);
      kinds.push(kind);
      return await write();
    };
    const act: Act<StorageTx> = {
      record: (draft, effects) => watched(draft.kind, () => system.record(draft, effects)),
      commit: (draft, effects) => watched(draft.kind, () => system.commit(draft, effects)),
    };
    const supervisor = new SignerSupervisor({
      onReady: () => ready.resolve(),
      onLost: () => sealing.custody.lose(),
    });
    const sealing = createSealing({
      link: supervisor,
      reads: storage.reads,
      counts: { saveEncryptions: (term, made) => storage.saveEncryptions(term, made) },
      act,
      keyFile: sealKeyFile(path.join(data, 'seal.key')),
      limits,
      now: () => Date.now() + ahead,
    });
    const keys = new KeyService(storage.reads, sealing.custody);
    await supervisor.start();
    return { ...sealing, storage, act, supervisor, keys };
  };
  const close = async ({ supervisor, storage, rewrap }: Awaited<ReturnType<typeof open>>): Promise<void> => {
    rewrap.stop();
    supervisor.retire();
    await supervisor.stop();
    storage.close();
  };

  let parts = await open();
  const service: SealedService = {
    ...parts,
    kinds: (prefix) => kinds.filter((kind) => kind.startsWith(prefix)),
    onCommit: (next) => {
      hook = next;
    },
    replaced: async () => {
      await ready.promise;
      ready = Promise.withResolvers();
    },
    sealKey: () => ({ type: 'file', secret: sealKeyFile(path.join(data, 'seal.key')).read() }),
    advance: (ms) => {
      ahead += ms;
    },
    allSign: async () => {
      let signed = 0;
      for (const key of parts.storage.reads.keys()) {
        for (const { version, address, publicKey } of key.versions) {
          const identity = { keyId: key.id, version, curve: 'secp256k1', address } as const;
          const sealed = parts.storage.reads.sealedKey(key.id, version);
          const signature = await parts.custody.sign({ identity, sealed }, 'message', preimage);
          if (isSignatureOf(fromHex(publicKey), digest, signature)) signed += 1;
        }
      }
      return signed;
    },
    restart: async () => {
      await close(parts);
      parts = await open();
      Object.assign(service, parts);
    },
    end: async () => {
      await close(parts);
      rmSync(data, { recursive: true });
    },
  };
  return service;
}
