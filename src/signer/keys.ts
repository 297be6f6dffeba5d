import { randomUUID } from 'node:crypto';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { Key, KeyReads, KeyVersion, KeyWrites } from '../keystore/keys.ts';
import { move, originsOf, type AskedTransition, type Standing } from '../keystore/life-cycle.ts';
import { wellKnownOrigin } from '../keystore/well-known.ts';
import type { Custody, KeyMaterial, NewKey, SealedKey } from './custody.ts';
import {
  changeVersion,
  KeyDirectory,
  keyToJson,
  signingVersionOf,
  subjectOf,
  versionOf,
} from './directory.ts';

export interface NewKeyRequest {
  readonly name: string;
  readonly tags: readonly string[];
}

/** Buffers are wiped by the import, whatever comes of it. */
export type ImportSource =
  | { readonly type: 'private-key'; readonly privateKey: Buffer }
  | { readonly type: 'web3-v3'; readonly keystore: unknown; readonly password: Buffer };

/** The keys of the service, and what is done with one. */
export class KeyService {
  readonly directory: KeyDirectory;
  readonly #reads: KeyReads;
  readonly #custody: Custody;
  readonly #now: () => Date;
  readonly #material = new Map<string, KeyMaterial>();

  constructor(reads: KeyReads, custody: Custody, now: () => Date = () => new Date()) {
    this.directory = new KeyDirectory(reads);
    this.#reads = reads;
    this.#custody = custody;
    this.#now = now;
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

  material(key: Key, { version, address }: KeyVersion): KeyMaterial {
    const name = `${key.id}/${version}`;
    const known = this.#material.get(name);
    if (known !== undefined) return known;
    const identity = { keyId: key.id, version, curve: 'secp256k1', address } as const;
    const material = { identity, sealed: this.#reads.sealedKey(key.id, version) };
    this.#material.set(name, material);
    return material;
  }

  /** A new key pair, made inside the signer process. Throws `conflict` when the name is taken. */
  async create(act: Act<KeyWrites>, request: NewKeyRequest): Promise<Key> {
    this.#refuseTaken(request.name);
    const id = randomUUID();
    const sealed = await this.#custody.generate({ keyId: id, version: 1, curve: 'secp256k1' });
    return await this.#insert(act, 'key.created', newKey(id, request, 'generated', sealed), sealed);
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
  ): Promise<Key> {
    this.#refuseTaken(request.name);
    const id = randomUUID();
    const newPair = { keyId: id, version: 1, curve: 'secp256k1' } as const;
    const sealed = await this.#open(newPair, source).catch(async (error: unknown) => {
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
    return await this.#insert(act, 'key.imported', key, sealed, known);
  }

  /**
   * Changes the state of a version, by the table of the life cycle. It has taken effect when this returns: no signature
   * is released after the answer of a disable. Throws `not_found`, or `key_state` with what is possible instead; that
   * somebody tried is logged, too.
   */
  async transition(
    act: Act<KeyWrites>,
    key: Key,
    number: number,
    transition: AskedTransition,
    reason: string,
  ): Promise<Key> {
    const version = this.version(key, number);
    const { state: from, address } = version;
    const entry = { kind: 'key.state_changed', key: { name: key.name, version: number, address } } as const;
    try {
      const standing = move(subjectOf(key, number), version, transition, { time: this.#time(), reason });
      const stood = (before: KeyVersion): KeyVersion => ({ ...identityOf(before), ...standing });
      const detail = { transition, from, to: standing.state, reason };
      await act.commit({ ...entry, outcome: 'done', detail }, (tx) => {
        tx.setKeyState(key.id, number, originsOf(transition), standing);
        return keyToJson(changeVersion(key, number, stood));
      });
      return this.directory.change(key.name, number, stood);
    } catch (error) {
      if (error instanceof CountersignError && error.code === 'key_state') {
        const detail = { transition, from, reason, why: error.message };
        await act.record({ ...entry, outcome: 'refused', detail });
      }
      throw error;
    }
  }

  /** Follows a commit that marked the version as used. */
  noteUse(name: string, number: number, time: string): void {
    this.directory.change(name, number, (version) => ({ ...version, lastUsedAt: time }));
  }

  async #open(newPair: NewKey, source: ImportSource): Promise<SealedKey> {
    return source.type === 'private-key'
      ? await this.#custody.importPrivateKey(newPair, source.privateKey)
      : await this.#custody.importKeystore(newPair, source.keystore, source.password);
  }

  #time(): string {
    return this.#now().toISOString();
  }

  #refuseTaken(name: string): void {
    if (this.directory.has(name))
      throw new CountersignError('conflict', `there is a key named ${name} already`);
  }

  async #insert(
    act: Act<KeyWrites>,
    kind: 'key.created' | 'key.imported',
    key: Key,
    { sealed, address }: SealedKey,
    known?: Publicity,
  ): Promise<Key> {
    const draft = {
      kind,
      outcome: 'done',
      key: { name: key.name, version: 1, address },
      detail: { tags: key.tags, ...known },
    } as const;
    await act.commit(draft, (tx) => {
      tx.insertKey(key, sealed);
      return keyToJson(key);
    });
    this.directory.put(key);
    return key;
  }
}

/** Where the public has a private key from, or how it is guessed. */
type Publicity = { readonly wellKnown: string } | { readonly weakness: string };

function publicity({ address, weakness }: SealedKey): Publicity | undefined {
  const wellKnown = wellKnownOrigin(address);
  if (wellKnown !== undefined) return { wellKnown };
  return weakness === undefined ? undefined : { weakness };
}

/** What never changes of a version, and when it was used last: all but its standing. */
function identityOf(version: KeyVersion): Omit<KeyVersion, keyof Standing> {
  const { address, publicKey, origin, createdAt, lastUsedAt } = version;
  const used = lastUsedAt !== undefined && { lastUsedAt };
  return { version: version.version, address, publicKey, origin, createdAt, ...used };
}

function newKey(id: string, request: NewKeyRequest, origin: KeyVersion['origin'], sealed: SealedKey): Key {
  const createdAt = new Date().toISOString();
  const { name, tags } = request;
  const { address, publicKey } = sealed;
  const version: KeyVersion = { version: 1, address, publicKey, state: 'enabled', origin, createdAt };
  return {
    id,
    name,
    tags,
    createdAt,
    primary: 1,
    exportable: false,
    canary: false,
    versions: [version],
  };
}
