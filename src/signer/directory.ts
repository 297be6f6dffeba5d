import { CountersignError } from '../errors.ts';
import type { JsonValue } from '../jcs.ts';
import type { Key, KeyReads, KeyVersion } from '../keystore/keys.ts';
import { SIGNING_STATES, whyNotSigning, type KeyVersionState } from '../keystore/life-cycle.ts';
import { mayHave, packKey, unpackKey, type PackedKey } from './packed-key.ts';

/** So many keys are kept as they are used; all others are packed. */
const MOST_UNPACKED = 2_048;

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
  readonly #byName = new Map<string, Key | PackedKey>();
  /** Names of those that are not packed, the longest in use first. */
  readonly #unpacked = new Set<string>();
  /** Names of those that have a schedule, or a version that is not just enabled: whoever looks for such looks often. */
  readonly #unusual = new Set<string>();
  /** In order. */
  readonly #names: string[];
  readonly #byAddress = new Map<string, string>();
  readonly #onStopped: (key: Key, version: KeyVersion) => void;

  /** @param onStopped told of a version that signed before a change and does not after it. */
  constructor(
    reads: Pick<KeyReads, 'eachKey'>,
    onStopped: (key: Key, version: KeyVersion) => void = () => undefined,
  ) {
    for (const key of reads.eachKey()) {
      this.#index(key);
      this.#byName.set(key.name, packKey(key));
    }
    this.#names = [...this.#byName.keys()].toSorted((a, b) => (a < b ? -1 : 1));
    this.#onStopped = onStopped;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  *all(): Generator<Key> {
    for (const key of this.#byName.values()) yield whole(key);
  }

  *withSchedule(): Generator<Key> {
    for (const name of this.#unusual) {
      const key = this.#peek(name);
      if (key?.rotation !== undefined) yield key;
    }
  }

  /** Keys with a version in a state other than `enabled`. */
  *inState(state: Exclude<KeyVersionState, 'enabled'>): Generator<Key> {
    for (const name of this.#unusual) {
      const key = this.#peek(name, state);
      if (key?.versions.some((version) => version.state === state) === true) yield key;
    }
  }

  /** In the order of their names. Throws nothing; an unknown cursor is a place in that order like any other. */
  list(filter: KeyFilter, after: string, limit: number): Key[] {
    const found: Key[] = [];
    for (const name of this.#named(filter, after)) {
      if (found.length === limit) break;
      const key = this.#peek(name, filter.tag, filter.state);
      if (key !== undefined && matches(key, filter)) found.push(key);
    }
    return found;
  }

  /** Throws `not_found`. */
  get(name: string): Key {
    const key = this.#byName.get(name);
    if (key === undefined) throw new CountersignError('not_found', `there is no key named ${name}`);
    if (typeof key !== 'string') return key;
    const unpacked = unpackKey(key);
    this.#hold(unpacked);
    return unpacked;
  }

  /** Follows a commit that made the key, or changed more than one version of it. */
  put(key: Key): void {
    const signed = this.#peek(key.name)?.versions.filter(isSigning) ?? [];
    if (!this.has(key.name)) this.#names.splice(this.#placeOf(key.name), 0, key.name);
    this.#index(key);
    this.#hold(key);
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

  /** Leaves it packed; undefined where it cannot have all of these values. */
  #peek(name: string, ...values: readonly (string | undefined)[]): Key | undefined {
    const key = this.#byName.get(name);
    if (typeof key !== 'string') return key;
    return values.every((value) => value === undefined || mayHave(key, value)) ? unpackKey(key) : undefined;
  }

  #hold(key: Key): void {
    this.#byName.set(key.name, key);
    this.#unpacked.add(key.name);
    if (this.#unpacked.size <= MOST_UNPACKED) return;
    for (const name of this.#unpacked) {
      this.#unpacked.delete(name);
      const oldest = this.#byName.get(name);
      if (oldest !== undefined && typeof oldest !== 'string') this.#byName.set(name, packKey(oldest));
      return;
    }
  }

  #index(key: Key): void {
    if (key.rotation !== undefined || key.versions.some(({ state }) => state !== 'enabled'))
      this.#unusual.add(key.name);
    else this.#unusual.delete(key.name);
    for (const { address } of key.versions) this.#byAddress.set(address, key.name);
  }

  /** Names after one, in order, of all keys that may match. */
  *#named({ address }: KeyFilter, after: string): Generator<string, void> {
    if (address !== undefined) {
      const name = this.#byAddress.get(address.toLowerCase());
      if (name !== undefined && name > after) yield name;
      return;
    }
    const first = this.#placeOf(after);
    for (let at = this.#names[first] === after ? first + 1 : first; at < this.#names.length; at++) {
      const name = this.#names[at];
      if (name !== undefined) yield name;
    }
  }

  /** Where a name is, or would be, among all. */
  #placeOf(name: string): number {
    let low = 0;
    let high = this.#names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#names[middle] ?? '') < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function whole(key: Key | PackedKey): Key {
  return typeof key === 'string' ? unpackKey(key) : key;
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
