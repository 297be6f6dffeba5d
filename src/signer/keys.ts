import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Act } from '../audit/act.ts';
import { fromHex } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { RotationSchedule, Key, KeyReads, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import type { KeystoreFacts } from '../keystore/web3-keystore.ts';
import { wellKnownOrigin } from '../keystore/well-known.ts';
import { addressOf } from '../secp256k1.ts';
import type { SigningMaterial } from './checked-signer.ts';
import type { Custody } from './custody.ts';
import type { NewKey, SealedKey } from './sealed-key.ts';
import { KeyDirectory, keyToJson, signingVersionOf, subjectOf, versionOf } from './directory.ts';
import { KeyStates } from './key-states.ts';
import { TransferCustody, type Wrapped } from './transfer-custody.ts';

export interface NewKeyRequest {
  readonly name: string;
  readonly tags: readonly string[];
  /** It is made to be stolen: it never signs, and whoever asks it to raises an alert. */
  readonly canary?: boolean;
  /** Whether it may ever be exported; said here, once. */
  readonly exportable?: boolean;
  /** When it is rotated by itself; checked by whoever asks. */
  readonly rotation?: RotationSchedule | undefined;
}

/** Buffers are wiped by the import, whatever comes of it. */
export type ImportSource =
  | { readonly type: 'private-key'; readonly privateKey: Buffer }
  | { readonly type: 'web3-v3'; readonly keystore: unknown; readonly password: Buffer }
  | { readonly type: 'wrapped'; readonly wrapped: Wrapped };

/** A key from elsewhere, and where it was in a keystore file, how well that protected it. */
export interface ImportedKey {
  readonly key: Key;
  readonly keystore?: KeystoreFacts | undefined;
}

/** What seals so many keys is remembered; that of others is read again. */
const MOST_MATERIAL = 4_096;

/** The keys of the service, and what is done with one. */
export class KeyService {
  readonly directory: KeyDirectory;
  readonly states: KeyStates;
  readonly #reads: KeyReads;
  readonly #custody: Custody;
  readonly #transfer: TransferCustody;
  readonly #material = new Map<string, SigningMaterial>();
  readonly #forgetting = new Set<Promise<void>>();

  constructor(reads: KeyReads, custody: Custody, now: () => Date = () => new Date()) {
    this.#reads = reads;
    this.#custody = custody;
    this.#transfer = new TransferCustody(custody);
    this.directory = new KeyDirectory(reads, (key, version) => {
      // Whoever waits for it hears of an error.
      void this.forget(key, version).catch(() => undefined);
    });
    this.states = new KeyStates({ directory: this.directory, now, forgotten: () => this.forgotten() });
  }

  /** Throws `not_found`. */
  get(name: string): Key {
    return this.directory.get(name);
  }

  /** The version that is to sign: the one asked for, or the primary. Throws `not_found` or `key_state`. */
  signingVersion(key: Key, wanted: number | undefined): KeyVersion {
    return signingVersionOf(key, wanted);
  }

  /** Throws `not_found`. */
  version(key: Key, number: number): KeyVersion {
    return versionOf(key, number);
  }

  /** Throws `internal` where the version's public key is not that of its address. */
  material(key: Key, { version, address, publicKey }: KeyVersion): SigningMaterial {
    const name = `${key.id}/${version}`;
    const known = this.#material.get(name);
    if (known !== undefined) return known;
    if (addressOf(fromHex(publicKey)) !== address) {
      const subject = subjectOf(key, version);
      throw new CountersignError('internal', `the public key of ${subject} is not that of its address`);
    }
    const identity = { keyId: key.id, version, curve: 'secp256k1', address } as const;
    const material = { identity, sealed: this.#reads.sealedKey(key.id, version), publicKey };
    this.#material.set(name, material);
    if (this.#material.size > MOST_MATERIAL) {
      const [oldest = name] = this.#material.keys();
      this.#material.delete(oldest);
    }
    return material;
  }

  /** When it returns, no process holds the opened key, and this one not even what seals it. */
  async forget(key: Key, version: KeyVersion): Promise<void> {
    const identity = { keyId: key.id, version: version.version };
    this.#material.delete(`${key.id}/${version.version}`);
    const forgetting = this.#custody.unload(identity);
    this.#forgetting.add(forgetting);
    try {
      await forgetting;
    } finally {
      this.#forgetting.delete(forgetting);
    }
  }

  /**
   * For whoever has stopped a version, once that is committed: resolves when no process holds its opened key, and what it
   * signed before has been released.
   */
  async forgotten(): Promise<void> {
    await Promise.all(this.#forgetting);
    // Signatures ahead in the same commit are released in this turn.
    await setImmediate();
  }

  /** A new key pair, made inside the signer process. Throws `conflict` when the name is taken. */
  async create(act: Act<KeyWrites>, request: NewKeyRequest): Promise<Key> {
    this.#refuseTaken(request.name);
    const id = randomUUID();
    const sealed = await this.#custody.generate(newPair(id, request));
    const { key } = await this.#insert(act, 'key.created', newKey(id, request, 'generated', sealed), sealed);
    return key;
  }

  /**
   * A key from elsewhere. Throws `wrong_password`, `conflict`, or `unprocessable` for a key that the public knows
   * unless `allowWellKnown`.
   */
  async import(
    act: Act<KeyWrites>,
    request: NewKeyRequest,
    source: ImportSource,
    allowWellKnown: boolean,
  ): Promise<ImportedKey> {
    this.#refuseTaken(request.name);
    const id = randomUUID();
    const sealed = await this.#open(newPair(id, request), source).catch(async (error: unknown) => {
      // The code alone: a message may quote what was sent.
      const reason = error instanceof CountersignError ? error.code : 'internal';
      const key = { name: request.name };
      await act.record({ kind: 'key.import_refused', outcome: 'failed', key, detail: { reason } });
      throw error;
    });
    const known = publicity(sealed);
    const key = newKey(id, request, 'imported', sealed);
    if (known !== undefined && !allowWellKnown) {
      const why =
        'wellKnown' in known
          ? `is public knowledge (${known.wellKnown})`
          : `can be guessed (${known.weakness})`;
      const reason = `the private key of ${sealed.address} ${why}: what is sent there is lost`;
      await act.record({
        kind: 'key.import_refused',
        outcome: 'refused',
        key: { name: request.name, address: sealed.address },
        detail: { reason },
      });
      throw new CountersignError('unprocessable', `${reason}. Set allowWellKnown for a test chain`);
    }
    const more = { ...known, ...(source.type === 'wrapped' && { wrapped: true as const }) };
    return await this.#insert(act, 'key.imported', key, sealed, more);
  }

  /** Follows a commit that marked the version as used. */
  noteUse(name: string, number: number, time: string): void {
    this.directory.noteUse(name, number, time);
  }

  async #open(newPair: NewKey, source: ImportSource): Promise<SealedKey> {
    if (source.type === 'wrapped') return await this.#transfer.importWrapped(newPair, source.wrapped);
    return source.type === 'private-key'
      ? await this.#transfer.importPrivateKey(newPair, source.privateKey)
      : await this.#transfer.importKeystore(newPair, source.keystore, source.password);
  }

  #refuseTaken(name: string): void {
    if (this.directory.has(name))
      throw new CountersignError('conflict', `there is a key named ${name} already`);
  }

  async #insert(
    act: Act<KeyWrites>,
    kind: 'key.created' | 'key.imported',
    key: Key,
    { sealed, address, keystore }: SealedKey,
    more: Partial<Publicity> & { readonly wrapped?: true } = {},
  ): Promise<ImportedKey> {
    const draft = {
      kind,
      outcome: 'done',
      key: { name: key.name, version: 1, address },
      detail: {
        tags: key.tags,
        ...(key.canary && { canary: true }),
        ...(key.exportable && { exportable: true }),
        ...(key.rotation !== undefined && { rotation: { ...key.rotation } }),
        ...more,
        ...(keystore !== undefined && { ...keystore }),
      },
    } as const;
    await act.commit(draft, (tx) => {
      tx.insertKey(key, sealed);
      return importedToJson({ key, keystore });
    });
    return { key, keystore };
  }
}

/** Where the public has a private key from, or how it is guessed. */
type Publicity = { readonly wellKnown: string } | { readonly weakness: string };

/** What whoever made or imported a key is told. */
export function importedToJson({ key, keystore }: ImportedKey): { readonly [name: string]: JsonValue } {
  return {
    ...keyToJson(key, { canary: true }),
    ...(keystore !== undefined && { keystore: { ...keystore, advice: adviceOn(keystore) } }),
  };
}

function adviceOn({ belowFloor }: KeystoreFacts): string {
  const weak = `its key derivation is weaker than any that is written here (${belowFloor.join(', ')}), so that its password can be guessed sooner; `;
  return `the key is sealed by this service now: ${belowFloor.length > 0 ? weak : ''}destroy the old file and its copies`;
}

function newPair(keyId: string, { exportable = false }: NewKeyRequest): NewKey {
  return { keyId, version: 1, curve: 'secp256k1', exportable };
}

function publicity({ address, weakness }: SealedKey): Publicity | undefined {
  const wellKnown = wellKnownOrigin(address);
  if (wellKnown !== undefined) return { wellKnown };
  return weakness === undefined ? undefined : { weakness };
}

function newKey(id: string, request: NewKeyRequest, origin: KeyVersion['origin'], sealed: SealedKey): Key {
  const createdAt = new Date().toISOString();
  const { name, tags, canary = false, rotation } = request;
  const { address, publicKey } = sealed;
  const version: KeyVersion = { version: 1, address, publicKey, state: 'enabled', origin, createdAt };
  return {
    id,
    name,
    tags,
    createdAt,
    primary: 1,
    exportable: request.exportable ?? false,
    canary,
    versions: [version],
    ...(rotation !== undefined && { rotation }),
  };
}
