import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AskedTransition } from '../../src/keystore/life-cycle.ts';
import { Custody } from '../../src/signer/custody.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';
import { reached, SEAL, SECRET, tryOut, type Operation, type Signer } from './model.ts';

const key = fc.constantFrom('a', 'b', 'c');
const changes = (to: AskedTransition, weight: number) => ({
  weight,
  arbitrary: fc.record({
    do: fc.constant('change' as const),
    key,
    to: fc.constant(to),
    days: fc.integer({ min: 7, max: 40 }),
  }),
});
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create' as const), key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sign' as const), key }) },
  changes('disable', 4),
  changes('enable', 3),
  changes('compromise', 2),
  changes('schedule_destruction', 4),
  changes('cancel_destruction', 2),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('advance' as const), days: fc.nat(25) }) },
  { weight: 3, arbitrary: fc.constant({ do: 'destroy' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

let signer: Signer;

beforeAll(async () => {
  const supervisor = new SignerSupervisor({ onReady: () => undefined, onLost: () => undefined });
  await supervisor.start();
  const keyring = await new Custody(supervisor).createKeyring(SEAL, Buffer.from(SECRET));
  signer = { supervisor, keyring };
});

afterAll(async () => {
  signer.supervisor.retire();
  await signer.supervisor.stop();
});

test('whatever is done to keys, in whatever order, they stand where the design says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 40, maxLength: 100, size: 'max' }),
      async (operations) => {
        await tryOut(signer, operations);
      },
    ),
    {
      numRuns: 150,
    },
  );
  for (const state of ['enabled', 'disabled', 'compromised', 'destroy_scheduled', 'destroyed'])
    expect(reached.get(`sign ${state}`), state).toBeGreaterThan(5);
  for (const what of [
    'destroyed',
    'restart',
    'cancel_destruction destroy_scheduled',
    'compromise destroy_scheduled',
  ])
    expect(reached.get(what), what).toBeGreaterThan(5);
});
