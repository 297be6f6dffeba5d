import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { hpkeSeal } from '../../src/keystore/hpke.ts';
import { WRAPPING_KEY_LIFE_MS, wrappingInfo } from '../../src/keystore/wrapped.ts';
import { MAX_WRAPPING_KEYS, WrappingKeys } from '../../src/signer/process/wrapping-keys.ts';

const SECRET = Buffer.from('a secret');
let keys: WrappingKeys;

beforeEach(() => {
  vi.useFakeTimers();
  keys = new WrappingKeys();
});
afterEach(() => vi.useRealTimers());

const contextOf = (wrappingKey: string) =>
  ({ purpose: 'import', origin: 'o', wrappingKey, keyName: 'k' }) as const;

function sealed() {
  const { id, publicKey } = keys.create();
  const context = contextOf(id);
  return { context, message: hpkeSeal(publicKey, wrappingInfo(context), SECRET) };
}
const gone = expect.objectContaining({ code: 'not_found' });

it('opens one message, once', () => {
  const { context, message } = sealed();
  expect(keys.open(context, message)).toEqual(SECRET);
  expect(() => keys.open(context, message)).toThrow(gone);
});

it('is used up by a message that does not open', () => {
  const { context, message } = sealed();
  expect(() => keys.open({ ...context, keyName: 'other' }, message)).toThrow(
    expect.objectContaining({ code: 'unprocessable' }),
  );
  expect(() => keys.open(context, message)).toThrow(gone);
});

it('is forgotten after ten minutes, and not before', () => {
  const [early, late] = [sealed(), sealed()];
  vi.advanceTimersByTime(WRAPPING_KEY_LIFE_MS - 1);
  expect(keys.open(early.context, early.message)).toEqual(SECRET);
  vi.advanceTimersByTime(1);
  expect(keys.size).toBe(0);
  expect(() => keys.open(late.context, late.message)).toThrow(gone);
});

it('makes room with time, and with a wipe', () => {
  const fill = (): void => {
    for (let made = 0; made < MAX_WRAPPING_KEYS; made++) keys.create();
    expect(() => keys.create()).toThrow(expect.objectContaining({ code: 'limit_exceeded' }));
  };
  fill();
  vi.advanceTimersByTime(WRAPPING_KEY_LIFE_MS);
  fill();
  keys.wipe();
  expect(keys.size).toBe(0);
  fill();
});
