import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Key } from '../../src/keystore/keys.ts';
import { KeyDirectory } from '../../src/signer/directory.ts';

const NAMES = ['a', 'a-1', 'a.b', 'b', 'hot', 'hot-10', 'hot-2', 'z_9'];
const TAGS = ['hot', 'cold'];

function keyOf(name: string, tag: string, versions: number): Key {
  const at = NAMES.indexOf(name) + 1;
  return {
    id: name,
    name,
    tags: [tag],
    createdAt: '2030-01-01T00:00:00.000Z',
    primary: 1,
    exportable: false,
    canary: false,
    versions: Array.from({ length: versions }, (_, i) => ({
      version: i + 1,
      address: `0x${'ab'.repeat(18)}${at.toString(16).padStart(2, '0')}${i.toString(16).padStart(2, '0')}`,
      publicKey: '0x04',
      state: i === 0 ? 'enabled' : 'draining',
      origin: 'generated',
      createdAt: '2030-01-01T00:00:00.000Z',
    })),
  };
}

const key = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom(...TAGS), fc.integer({ min: 1, max: 3 }))
  .map(([name, tag, versions]) => keyOf(name, tag, versions));
const keys = fc.uniqueArray(key, { selector: ({ name }) => name });

const question = fc.record({
  tag: fc.option(fc.constantFrom(...TAGS), { nil: undefined }),
  state: fc.option(fc.constantFrom('enabled' as const, 'draining' as const), { nil: undefined }),
  address: fc.option(
    fc
      .constantFrom(...NAMES)
      .map((name) => keyOf(name, 'hot', 2).versions[1]!.address.toUpperCase().replace('X', 'x')),
    { nil: undefined },
  ),
  after: fc.constantFrom('', 'a-0', 'hot-1', 'zz', ...NAMES),
  limit: fc.integer({ min: 0, max: 9 }),
});

it('lists what a look at every key finds, in the order of names, whenever they came', () => {
  fc.assert(
    fc.property(keys, fc.array(key), question, (stored, added, { after, limit, ...filter }) => {
      const directory = new KeyDirectory({ eachKey: () => stored });
      const all = new Map(stored.map((each) => [each.name, each]));
      for (const each of added) {
        directory.put(
          each.versions.length > (all.get(each.name)?.versions.length ?? 0) ? each : all.get(each.name)!,
        );
        all.set(each.name, directory.get(each.name));
      }
      const { tag, state, address } = filter;
      const expected = [...all.values()]
        .filter(({ name }) => name > after)
        .filter(({ tags }) => tag === undefined || tags.includes(tag))
        .filter(({ versions }) => state === undefined || versions.some((each) => each.state === state))
        .filter(
          ({ versions }) =>
            address === undefined || versions.some((each) => each.address === address.toLowerCase()),
        )
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .slice(0, limit);
      expect(directory.list(filter, after, limit)).toEqual(expected);
    }),
  );
});

it('finds, of more keys than it keeps unpacked, each as it was last, by name and by what is unusual about it', () => {
  const many = Array.from({ length: 5_000 }, (_, i) => ({ ...keyOf('a', 'hot', 1), name: `key-${i}` }));
  const directory = new KeyDirectory({ eachKey: () => many });
  for (const { name } of many) {
    directory.change(name, 1, (version) => ({ ...version, lastUsedAt: name }));
  }
  const disabled = directory.change('key-7', 1, (version) => ({ ...version, state: 'disabled' }));
  const scheduled = { ...directory.get('key-8'), rotation: { everyDays: 3 } };
  directory.put(scheduled);
  for (const { name } of many) expect(directory.get(name).versions[0]?.lastUsedAt).toBe(name);
  expect([...directory.all()]).toHaveLength(many.length);
  expect([...directory.inState('disabled')]).toEqual([disabled]);
  expect([...directory.inState('destroyed')]).toEqual([]);
  expect([...directory.withSchedule()]).toEqual([scheduled]);
  expect(directory.list({ state: 'disabled' }, '', 10)).toEqual([disabled]);
  directory.put(keyOf('a', 'hot', 1));
  directory.change('key-7', 1, (version) => ({ ...version, state: 'enabled' }));
  expect([...directory.inState('disabled')]).toEqual([]);
});
