import { randomUUID } from 'node:crypto';
import type { Act } from '../audit/act.ts';
import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyReads, KeyVersion, KeyVersionState, KeyWrites } from '../keystore/keys.ts';
import { wellKnownOrigin } from '../keystore/well-known.ts';
import type { Custody, KeyMaterial, NewKey, SealedKey } from './custody.ts';

export interface NewKeyRequest {
  readonly name: string;
  readonly tags: readonly string[];
}

/** Buffers are wiped by the import, whatever comes of it. */
export type ImportSource =
  | { readonly type: 'private-key'; readonly privateKey: Buffer }
  | { readonly type: 'web3-v3'; readonly keystore: unknown; readonly password: Buffer };

export interface KeyFilter {
  readonly tag?: string | undefined;
  readonly state?: KeyVersionState | undefined;
  readonly address?: string | undefined;
}

/**
 * The keys of the service. The directory is read from storage once and follows each commit, so that finding a key
 * costs the same with ten keys and a hundred thousand.
 */
export class KeyService {
  readonly #reads: KeyReads;
  readonly #custody: Custody;
  readonly #byName: Map<string, Key>;
  readonly #material = new Map<string, KeyMaterial>();

  constructor(reads: KeyReads, custody: Custody) {
    this.#reads = reads;
    this.#custody = custody;
    this.#byName = new Map(reads.keys().map((key) => [key.name, key]));
  }

  /** In the order of their names. Throws nothing; an unknown cursor is a place in that order like any other. */
  list(filter: KeyFilter, after: string, limit: number): Key[] {
    return [...this.#byName.values()]
      .filter((key) => key.name > after && matches(key, filter))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .slice(0, limit);
  }

  /** Throws `not_found`. */
  get(name: string): Key {
    const key = this.#byName.get(name);
    if (key === undefined) throw new CountersignError('not_found', `there is no key named ${name}`);
    return key;
  }

  /** The version that is to sign: the one asked for, or the primary. Throws `not_found` or `key_state`. */
  signingVersion(key: Key, wanted: number | undefined): KeyVersion {
    const version = this.version(key, wanted ?? key.primary);
    if (version.state !== 'enabled') {
      throw new CountersignError(
        'key_state',
        `version ${version.version} of key ${key.name} is ${version.state}`,
      );
    }
    return version;
  }

  /** Throws `not_found`. */
  version(key: Key, number: number): KeyVersion {
    const version = key.versions.find((candidate) => candidate.version === number);
    if (version === undefined) {
      throw new CountersignError('not_found', `key ${key.name} has no version ${number}`);
    }
    return version;
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

  /** Disable or enable a version. No signature is released after the answer of a disable. */
  async setState(
    act: Act<KeyWrites>,
    key: Key,
    number: number,
    to: KeyVersionState,
    reason: string,
  ): Promise<Key> {
    const { state: from, address } = this.version(key, number);
    if (from === to)
      throw new CountersignError('key_state', `version ${number} of key ${key.name} is ${to} already`);
    const changed = changeVersion(key, number, { state: to });
    const draft = {
      kind: 'key.state_changed',
      outcome: 'done',
      key: { name: key.name, version: number, address },
      detail: { from, to, reason },
    } as const;
    await act.commit(draft, (tx) => {
      tx.setKeyState(key.id, number, from, to);
      return keyToJson(changed);
    });
    this.#byName.set(key.name, changeVersion(this.get(key.name), number, { state: to }));
    return this.get(key.name);
  }

  /** Follows a commit that marked the version as used. */
  noteUse(name: string, number: number, time: string): void {
    this.#byName.set(name, changeVersion(this.get(name), number, { lastUsedAt: time }));
  }

  async #open(newPair: NewKey, source: ImportSource): Promise<SealedKey> {
    return source.type === 'private-key'
      ? await this.#custody.importPrivateKey(newPair, source.privateKey)
      : await this.#custody.importKeystore(newPair, source.keystore, source.password);
  }

  #refuseTaken(name: string): void {
    if (this.#byName.has(name))
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
    this.#byName.set(key.name, key);
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

/** The key as the API shows it. */
export function keyToJson(key: Key): { readonly [name: string]: JsonValue } {
  const state = key.versions.some(({ state }) => state === 'enabled') ? 'enabled' : 'disabled';
  return {
    name: key.name,
    tags: key.tags,
    state,
    primary: key.primary,
    versions: key.versions.map((version) => ({ ...version })),
    createdAt: key.createdAt,
  };
}

function newKey(id: string, request: NewKeyRequest, origin: KeyVersion['origin'], sealed: SealedKey): Key {
  const createdAt = new Date().toISOString();
  const { address, publicKey } = sealed;
  const version: KeyVersion = { version: 1, address, publicKey, state: 'enabled', origin, createdAt };
  return { id, name: request.name, tags: request.tags, createdAt, primary: 1, versions: [version] };
}

function changeVersion(key: Key, number: number, change: Partial<KeyVersion>): Key {
  return {
    ...key,
    versions: key.versions.map((version) =>
      version.version === number ? { ...version, ...change } : version,
    ),
  };
}

function matches(key: Key, { tag, state, address }: KeyFilter): boolean {
  return (
    (tag === undefined || key.tags.includes(tag)) &&
    (state === undefined || key.versions.some((version) => version.state === state)) &&
    (address === undefined || key.versions.some((version) => version.address === address.toLowerCase()))
  );
}
