import { describe, expect, test } from 'vitest';
import { keyUse, placesOfAddress } from '../../src/policy/key-use.ts';
import { allowTransfers, BOB, policyWith } from './fixtures.ts';

const treasury = { name: 'treasury', tags: ['hot'] };
const limit = (per: readonly string[]) => ({
  meter: 'count',
  per,
  window: { rolling: '24h', bucket: '1h' },
  max: '10',
  onExceed: 'deny',
});

const policy = policyWith(
  {
    keyGroups: { hot: { tags: ['hot'] }, cold: { names: ['vault'] } },
    limits: {
      each: limit(['key']),
      teams: limit(['keyGroup', 'chain']),

      people: limit(['principal']),
    },
    lists: { friends: [BOB] },
  },
  allowTransfers(),
  {
    ...allowTransfers({ to: { in: '$friends' } }),
    id: 'named',
    keys: { names: ['treasury', 'vault'] },
  },
  { ...allowTransfers(), id: 'tagged', keys: { groups: ['hot'] }, draining: true },
  { ...allowTransfers({ to: { in: [BOB] } }), id: 'others', keys: { groups: ['cold'] } },
  { id: 'no', effect: 'deny', operations: ['message'], when: { message: { len: { gt: 100 } } } },
);

describe('what a policy says of a key', () => {
  test('is the rules that cover it, and by what', () => {
    const rules = keyUse(policy, treasury).rules.map(({ rule, by, draining }) => [rule, by, draining]);
    expect(rules).toEqual([
      ['pay', '*', false],
      ['named', 'name', false],
      ['tagged', 'tag', true],
      ['no', '*', false],
    ]);
  });

  test('is its groups, and the limits that count by them', () => {
    const { groups, limits, breakGlass } = keyUse(policy, treasury);
    expect({ groups, breakGlass }).toEqual({ groups: ['hot'], breakGlass: false });
    expect(limits.map(({ limit }) => limit)).toEqual(['each', 'teams']);
  });

  test('a key that no rule names is covered by those for every key', () => {
    const rules = keyUse(policy, { name: 'other', tags: [] }).rules.map(({ rule }) => rule);
    expect(rules).toEqual(['pay', 'no']);
  });

  test('an address is found where it is written, in any case of its letters', () => {
    expect(placesOfAddress(policy, BOB)).toEqual(['lists.friends', 'rules.others']);
  });
});
