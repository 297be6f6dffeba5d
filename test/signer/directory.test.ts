import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Key, KeyVersion } from '../../src/keystore/keys.ts';
import { KEY_VERSION_STATES } from '../../src/keystore/life-cycle.ts';
import { KeyDirectory } from '../../src/signer/directory.ts';
import { openSqliteStorage, type Storage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { makeDirectory } from '../service.ts';

const NAMES = ['a', 'a-1', 'a.b', 'b', 'hot', 'hot-10', 'hot-2', 'z_9'];
const TAGS = ['hot', 'cold'];
const TIME = '2030-01-01T00:00:00.000Z';

let addresses = 0;
function versionOf(number: number, state: KeyVersion['state'] = 'enabled'): KeyVersion {
  const address = `0x${(addresses++).toString(16).padStart(40, 'a')}` as const;
  return { version: number, address, publicKey: '0x04', state, origin: 'generated', createdAt: TIME };
}

function keyOf(name: string, tags: readonly string[] = [], states: readonly KeyVersion['state'][] = []): Key {
  const versions = [versionOf(1), ...states.map((state, i) => versionOf(i + 2, state))];
  const id = `id-${name}`;
  return { id, name, tags, createdAt: TIME, primary: 1, exportable: false, canary: false, versions };
}

let storage: Storage;
let stopped: string[];
let directory: KeyDirectory;

beforeEach(() => {
  storage = openSqliteStorage(makeDirectory(), () => 'test');
  stopped = [];
  directory = new KeyDirectory(
    storage.reads,
    ({ name }, { version, state }) => void stopped.push(`${name}/${version} ${state}`),
  );
});
afterEach(() => storage.close());

const commit = (work: (tx: StorageTx) => void): void => storage.commit(work);
const insert = (...keys: readonly Key[]): void => {
  commit((tx) => keys.forEach((key) => tx.insertKey(key, Buffer.of(1))));
  stopped.length = 0;
};
const setState = (name: string, version: number, state: KeyVersion['state']): void =>
  commit((tx) => tx.setKeyState(`id-${name}`, version, KEY_VERSION_STATES, { state }));

const anyKeys = fc.uniqueArray(
  fc
    .tuple(
      fc.constantFrom(...NAMES),
      fc.subarray(TAGS),
      fc.array(fc.constantFrom(...KEY_VERSION_STATES), { maxLength: 2 }),
    )
    .map((parts) => keyOf(...parts)),
  { selector: ({ name }) => name },
);
const anyQuestion = fc.record({
  tag: fc.option(fc.constantFrom(...TAGS), { nil: undefined }),
  state: fc.option(fc.constantFrom(...KEY_VERSION_STATES), { nil: undefined }),
  place: fc.option(fc.nat(), { nil: undefined }),
  after: fc.constantFrom('', 'a-0', 'hot-1', 'zz', ...NAMES),
  limit: fc.integer({ min: 0, max: 9 }),
});

it('lists what a look at every key finds, in the order of names', () => {
  fc.assert(
    fc.property(
      anyKeys,
      fc.array(anyQuestion, { minLength: 5, maxLength: 20 }),
      fc.constantFrom(...KEY_VERSION_STATES),
      (stored, questions, changed) => {
        const own = openSqliteStorage(makeDirectory(), () => 'test');
        try {
          const listed = new KeyDirectory(own.reads);
          own.commit((tx) => stored.forEach((key) => tx.insertKey(key, Buffer.of(1))));
          const [first] = stored;
          if (first !== undefined)
            own.commit((tx) => tx.setKeyState(first.id, 1, ['enabled'], { state: changed }));
          const all = own.reads.keys();
          const every = all.flatMap(({ versions }) => versions);
          for (const { tag, state, place, after, limit } of questions) {
            const address = place === undefined ? undefined : every[place % every.length]?.address;
            const expected = all
              .filter(({ name }) => name > after)
              .filter(({ tags }) => tag === undefined || tags.includes(tag))
              .filter(({ versions }) => state === undefined || versions.some((each) => each.state === state))
              .filter(
                ({ versions }) =>
                  address === undefined || versions.some((version) => version.address === address),
              )
              .slice(0, limit);
            const asked = address?.toUpperCase().replace('X', 'x');
            expect(listed.list({ tag, state, address: asked }, after, limit)).toEqual(expected);
          }
        } finally {
          own.close();
        }
      },
    ),
    { numRuns: 25 },
  );
});

it('shows a change as soon as the rest of its commit can be read, and not before it is committed', () => {
  insert(keyOf('hot', [], ['pending']));
  const before = directory.get('hot');
  expect(before).toMatchObject({ primary: 1, versions: [{ state: 'enabled' }, { state: 'pending' }] });
  commit((tx) => {
    tx.setKeyState('id-hot', 2, ['pending'], { state: 'enabled' });
    tx.setPrimary('id-hot', 1, 2);
    tx.setKeyState('id-hot', 1, ['enabled'], { state: 'draining', supersededAt: TIME });
    expect(directory.get('hot')).toBe(before);
  });
  expect(directory.get('hot')).toMatchObject({
    primary: 2,
    versions: [{ state: 'draining', supersededAt: TIME }, { state: 'enabled' }],
  });
  expect(stopped).toEqual([]);
});

it('knows nothing of what was read in a commit that was rolled back', () => {
  insert(keyOf('hot'));
  const attempt = (): void =>
    commit((tx) => {
      tx.setKeyState('id-hot', 1, ['enabled'], { state: 'disabled' });
      expect(directory.get('hot').versions[0]).toMatchObject({ state: 'disabled' });
      throw new Error('no commit');
    });
  expect(attempt).toThrow('no commit');
  expect(directory.get('hot').versions[0]).toMatchObject({ state: 'enabled' });
  const part = (): void =>
    commit((tx) => {
      const item = (): void => {
        tx.setKeyState('id-hot', 1, ['enabled'], { state: 'disabled' });
        directory.get('hot');
        throw new Error('no item');
      };
      expect(() => storage.nested(item)).toThrow('no item');
    });
  part();
  expect(directory.get('hot').versions[0]).toMatchObject({ state: 'enabled' });
  expect(stopped).toEqual([]);
});

it('tells of each version that stops signing, in use or not, and of no other', () => {
  insert(keyOf('hot', [], ['enabled', 'disabled']), keyOf('b', [], ['draining']));
  directory.get('hot');
  setState('hot', 1, 'draining');
  setState('hot', 2, 'disabled');
  expect(stopped).toEqual(['hot/2 disabled']);
  setState('hot', 2, 'compromised');
  expect(stopped).toHaveLength(1);
  // Nobody has looked at this one.
  setState('b', 2, 'destroyed');
  expect(stopped).toEqual(['hot/2 disabled', 'b/2 destroyed']);
  commit((tx) => tx.addVersion('id-b', versionOf(3, 'pending'), Buffer.of(1)));
  commit((tx) => tx.setRotationSchedule('id-b', { everyDays: 3 }));
  expect(directory.get('b')).toMatchObject({ rotation: { everyDays: 3 }, versions: [{}, {}, {}] });
  directory.get('b');
  setState('b', 3, 'destroyed');
  expect(stopped.slice(2)).toEqual(['b/2 destroyed', 'b/3 pending', 'b/2 destroyed', 'b/3 pending']);
});

it('finds, of more keys than it keeps, each as it was last', () => {
  const names = Array.from({ length: 5_000 }, (_, i) => `key-${i}`);
  insert(...names.map((name) => keyOf(name)));
  for (const name of names) {
    directory.get(name);
    commit((tx) => tx.markUsed(`id-${name}`, 1, 'enabled', name));
    directory.noteUse(name, 1, name);
  }
  for (const name of names.toReversed()) expect(directory.get(name).versions[0]?.lastUsedAt).toBe(name);
  expect(directory.has('key-4999')).toBe(true);
  expect(directory.has('key-5000')).toBe(false);
  expect(() => directory.get('key-5000')).toThrow('there is no key named key-5000');
  insert(keyOf('key-5000'));
  expect(directory.get('key-5000').id).toBe('id-key-5000');
});

it('knows what is to be destroyed, and how many were', () => {
  const { reads } = storage;
  insert(keyOf('a', [], ['enabled']), keyOf('b'));
  for (const [name, version, day] of [
    ['a', 2, 3],
    ['b', 1, 2],
    ['a', 1, 4],
  ] as const)
    commit((tx) =>
      tx.setKeyState(`id-${name}`, version, ['enabled'], {
        state: 'destroy_scheduled',
        destroyAt: `2030-01-0${day}T00:00:00.000Z`,
      }),
    );
  expect(reads.dueForDestruction('2030-01-01T23:59:59.999Z')).toEqual([]);
  expect(reads.dueForDestruction('2030-01-03T00:00:00.000Z')).toEqual([
    { keyName: 'a', version: 2 },
    { keyName: 'b', version: 1 },
  ]);
  expect(reads.destroyedVersions()).toBe(0);
  setState('b', 1, 'destroyed');
  expect(reads.dueForDestruction('2031-01-01T00:00:00.000Z')).toHaveLength(2);
  expect(reads.destroyedVersions()).toBe(1);
});
