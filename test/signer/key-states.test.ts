import { expect, test } from 'vitest';
import { systemAct } from '../../src/audit/act.ts';
import { AuditLog } from '../../src/audit/log.ts';
import type { Key, KeyVersion, KeyWrites } from '../../src/keystore/keys.ts';
import { move } from '../../src/keystore/life-cycle.ts';
import { KeyDirectory } from '../../src/signer/directory.ts';
import { KeyStates } from '../../src/signer/key-states.ts';
import { openSqliteStorage, type StorageTx } from '../../src/storage/sqlite/storage.ts';
import { makeDirectory } from '../service.ts';

const version = (number: number): KeyVersion => ({
  version: number,
  address: `0x${String(number).padStart(40, '0')}`,
  publicKey: '0x04',
  state: 'enabled',
  origin: 'generated',
  createdAt: '2027-01-01T00:00:00.000Z',
});
const KEY: Key = {
  id: 'k',
  name: 'treasury',
  tags: [],
  createdAt: '2027-01-01T00:00:00.000Z',
  primary: 1,
  exportable: false,
  canary: false,
  versions: [version(1)],
};

test('a change that a cutover overtakes is refused: its standing knows nothing of that', async () => {
  const storage = openSqliteStorage(makeDirectory(), () => 'test');
  const act = systemAct<StorageTx>(new AuditLog<StorageTx>(storage, { node: 'n', version: '0' }));
  const draft = { kind: 'key.created', outcome: 'done' } as const;
  await act.commit(draft, (tx: KeyWrites) => {
    tx.insertKey(KEY, Buffer.from([1]));
    return {};
  });
  const states = new KeyStates({
    directory: new KeyDirectory(storage.reads),
    now: () => new Date('2027-01-02T00:00:00Z'),
    forgotten: async () => undefined,
  });
  // Both wait for the same commit, the cutover ahead.
  const occasion = { time: '2027-01-02T00:00:00.000Z', reason: 'cutover' };
  const cutover = act.commit({ ...draft, kind: 'rotation.cut_over' }, (tx) => {
    tx.setKeyState('k', 1, ['enabled'], move('it', version(1), 'supersede', occasion));
    return {};
  });
  const disable = states.change(act, 'treasury', 1, { transition: 'disable', reason: 'crossing' });
  await cutover;
  await expect(disable).rejects.toMatchObject({ code: 'key_state' });
  expect(storage.reads.keys()[0]?.versions[0]).toMatchObject({
    state: 'draining',
    supersededAt: occasion.time,
  });
  storage.close();
});
