import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyReads, KeyVersion } from '../keystore/keys.ts';
import { SIGNING_STATES, whyNotSigning, type KeyVersionState } from '../keystore/life-cycle.ts';

export interface KeyFilter {
  readonly tag?: string | undefined;
  readonly state?: KeyVersionState | undefined;
  readonly address?: string | undefined;
}

/**
 * The keys that there are, without what seals them. Read from storage once; whoever commits a change puts it here right
 * after, so that finding a key costs the same with ten keys and a hundred thousand.
 */
export class KeyDirectory {
  readonly #byName: Map<string, Key>;
  readonly #onStopped: (key: Key, version: KeyVersion) => void;

  /** @param onStopped told of a version that signed before a change and does not after it. */
  constructor(
    reads: Pick<KeyReads, 'keys'>,
    onStopped: (key: Key, version: KeyVersion) => void = () => undefined,
  ) {
    this.#byName = new Map(reads.keys().map((key) => [key.name, key]));
    this.#onStopped = onStopped;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  all(): IterableIterator<Key> {
    return this.#byName.values();
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

  /** Follows a commit that made the key, or changed more than one version of it. */
  put(key: Key): void {
    const signed = this.#byName.get(key.name)?.versions.filter(isSigning) ?? [];
    this.#byName.set(key.name, key);
    for (const { version } of signed) {
      const now = versionOf(key, version);
      if (!isSigning(now)) this.#onStopped(key, now);
    }
  }

  /** Follows a commit that changed a version; the key may have changed otherwise since. Throws `not_found`. */
  change(name: string, number: number, change: (version: KeyVersion) => KeyVersion): Key {
    const key = changeVersion(this.get(name), number, change);
    this.put(key);
    return key;
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

function matches(key: Key, { tag, state, address }: KeyFilter): boolean {
  return (
    (tag === undefined || key.tags.includes(tag)) &&
    (state === undefined || key.versions.some((version) => version.state === state)) &&
    (address === undefined || key.versions.some((version) => version.address === address.toLowerCase()))
  );
}
