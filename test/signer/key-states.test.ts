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

test('a primary that was disabled before a cutover is not enabled in full behind it', async () => {
  const storage = openSqliteStorage(makeDirectory(), () => 'test');
  const act = systemAct<StorageTx>(new AuditLog<StorageTx>(storage, { node: 'n', version: '0' }));
  const draft = { kind: 'key.created', outcome: 'done' } as const;
  const time = '2027-01-02T00:00:00.000Z';
  await act.commit(draft, (tx: KeyWrites) => {
    tx.insertKey(KEY, Buffer.from([1]));
    tx.setKeyState('k', 1, ['enabled'], { state: 'disabled' });
    return {};
  });
  const states = new KeyStates({
    directory: new KeyDirectory(storage.reads),
    now: () => new Date(time),
    forgotten: async () => undefined,
  });
  // The cutover of a disabled version leaves its state as it is.
  const cutover = act.commit({ ...draft, kind: 'rotation.cut_over' }, (tx) => {
    tx.setKeyState('k', 1, ['disabled'], { state: 'disabled', supersededAt: time });
    return {};
  });
  const enable = states.change(act, 'treasury', 1, { transition: 'enable', reason: 'crossing' });
  await cutover;
  await expect(enable).rejects.toMatchObject({ code: 'key_state' });
  expect(storage.reads.keys()[0]?.versions[0]).toMatchObject({ state: 'disabled', supersededAt: time });
  storage.close();
});

test.each(['pending', 'disabled', 'compromised'] as const)(
  'a version that is %s does not become the primary',
  async (state) => {
    const storage = openSqliteStorage(makeDirectory(), () => 'test');
    const act = systemAct<StorageTx>(new AuditLog<StorageTx>(storage, { node: 'n', version: '0' }));
    const second = { ...version(2), address: '0x0000000000000000000000000000000000000002', state } as const;
    await act.commit({ kind: 'key.created', outcome: 'done' }, (tx: KeyWrites) => {
      tx.insertKey(KEY, Buffer.from([1]));
      tx.addVersion('k', second, Buffer.from([2]));
      return {};
    });
    const cutover = act.commit({ kind: 'rotation.cut_over', outcome: 'done' }, (tx: KeyWrites) => {
      tx.setPrimary('k', 1, 2);
      return {};
    });
    await expect(cutover).rejects.toMatchObject({ code: 'conflict' });
    expect(storage.reads.keys()[0]?.primary).toBe(1);
    storage.close();
  },
);
