import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyFilter, KeyReads, KeyVersion } from '../keystore/keys.ts';
import { SIGNING_STATES, whyNotSigning } from '../keystore/life-cycle.ts';

/** So many keys are kept in memory; all others are read when they are asked for. */
const MOST_KEPT = 2_048;

/**
 * The keys that there are, without what seals them. One that is in use is in memory, and as the newest commit has it: so
 * finding it costs the same with ten keys and a hundred thousand, and they take no memory.
 */
export class KeyDirectory {
  readonly #reads: Pick<KeyReads, 'key' | 'findKeys'>;
  /** By name, the longest in use first. */
  readonly #kept = new Map<string, Key>();
  readonly #onStopped: (key: Key, version: KeyVersion) => void;

  /** @param onStopped told of a version that does not sign after a change, unless it is known not to have signed before. */
  constructor(
    reads: Pick<KeyReads, 'key' | 'findKeys' | 'onKeyChange'>,
    onStopped: (key: Key, version: KeyVersion) => void = () => undefined,
  ) {
    this.#reads = reads;
    this.#onStopped = onStopped;
    reads.onKeyChange((name) => this.#changed(name));
  }

  has(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  /** In the order of their names. Throws nothing; an unknown cursor is a place in that order like any other. */
  list(filter: KeyFilter, after: string, limit: number): Key[] {
    return this.#reads.findKeys(filter, after, limit);
  }

  /** Throws `not_found`. */
  get(name: string): Key {
    const key = this.#find(name);
    if (key === undefined) throw new CountersignError('not_found', `there is no key named ${name}`);
    return key;
  }

  /** Follows a commit that marked the version as used. */
  noteUse(name: string, number: number, time: string): void {
    const key = this.#kept.get(name);
    if (key === undefined) return;
    this.#kept.set(
      name,
      changeVersion(key, number, (version) => ({ ...version, lastUsedAt: time })),
    );
  }

  #find(name: string): Key | undefined {
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const key = this.#reads.key(name);
    if (key !== undefined) this.#keep(key);
    return key;
  }

  #keep(key: Key): void {
    this.#kept.set(key.name, key);
    const [oldest = key.name] = this.#kept.keys();
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(oldest);
  }

  #changed(name: string): void {
    const before = this.#kept.get(name);
    this.#kept.delete(name);
    const now = this.#reads.key(name);
    if (now === undefined) return;
    if (before !== undefined) this.#keep(now);
    for (const version of now.versions) {
      const was = before?.versions.find((each) => each.version === version.version);
      if (!isSigning(version) && (was === undefined || isSigning(was))) this.#onStopped(now, version);
    }
  }
}

/** Throws `not_found`. */
export function versionOf(key: Key, number: number): KeyVersion {
  const version = key.versions.find((candidate) => candidate.version === number);
  if (version === undefined) {
    throw new CountersignError('not_found', `key ${key.name} has no version ${number}`);
  }
  return version;
}

/** The version that is to sign: the one asked for, or the primary. Throws `not_found` or `key_state`. */
export function signingVersionOf(key: Key, wanted: number | undefined): KeyVersion {
  const version = versionOf(key, wanted ?? key.primary);
  if (isSigning(version)) return version;
  throw new CountersignError('key_state', whyNotSigning(subjectOf(key, version.version), version));
}

function isSigning({ state }: KeyVersion): boolean {
  return SIGNING_STATES.includes(state);
}

/** How messages call a version. */
export function subjectOf(key: Pick<Key, 'name'>, number: number): string {
  return `version ${number} of key ${key.name}`;
}

export function changeVersion(key: Key, number: number, change: (version: KeyVersion) => KeyVersion): Key {
  return {
    ...key,
    versions: key.versions.map((version) => (version.version === number ? change(version) : version)),
  };
}

/**
 * The key as the API shows it: its state is that of its primary.
 *
 * @param shown whether it is a canary, to those who may know; to others no key looks like one.
 */
export function keyToJson(
  key: Key,
  shown: { readonly canary: boolean } = { canary: false },
): { readonly [name: string]: JsonValue } {
  const { name, tags, primary, createdAt, exportable, rotation } = key;
  return {
    name,
    tags,
    state: versionOf(key, primary).state,
    primary,
    versions: key.versions.map((version) => ({ ...version })),
    exportable,
    ...(shown.canary && { canary: key.canary }),
    ...(rotation !== undefined && { rotation: { ...rotation } }),
    createdAt,
  };
}
