import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import {
  decodeWrapped,
  encodeWrapped,
  MAX_PASSWORD_BYTES,
  wrappingInfo,
  type WrappedSecret,
} from '../../src/keystore/wrapped.ts';

const bytes = (maxLength: number, minLength = 0) =>
  fc.uint8Array({ minLength, maxLength }).map((each) => Buffer.from(each));
const secrets: fc.Arbitrary<WrappedSecret> = fc.oneof(
  fc.record({ form: fc.constant('private-key' as const), privateKey: bytes(32, 32) }),
  fc.record({
    form: fc.constant('keystore' as const),
    keystore: bytes(600),
    password: bytes(MAX_PASSWORD_BYTES),
  }),
  fc.record({ form: fc.constant('password' as const), password: bytes(MAX_PASSWORD_BYTES) }),
);
const malformed = expect.objectContaining({ code: 'invalid_request' });

describe('a wrapped secret', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(secrets, (secret) => {
        expect(decodeWrapped(encodeWrapped(secret))).toEqual(secret);
      }),
    );
  });

  it('has a length that says nothing of its password', () => {
    const lengths = [0, 1, 500, MAX_PASSWORD_BYTES].map((length) => {
      const password = randomBytes(length);
      return [
        encodeWrapped({ form: 'password', password }).length,
        encodeWrapped({ form: 'keystore', password, keystore: Buffer.from('{}') }).length,
      ];
    });
    expect(new Set(lengths.map(String)).size).toBe(1);
  });

  it('is read, or refused in plain words, whatever the bytes are', () => {
    const near = fc.tuple(secrets, fc.nat(), fc.nat(255)).map(([secret, at, value]) => {
      const encoded = encodeWrapped(secret);
      encoded[at % encoded.length] = value;
      return encoded;
    });
    /** Written again as it was read; undefined where it was refused in plain words. */
    const attempt = (given: Uint8Array): Buffer | undefined => {
      try {
        return encodeWrapped(decodeWrapped(given));
      } catch (error) {
        if (error instanceof CountersignError && error.code === 'invalid_request') return undefined;
        throw error;
      }
    };
    // What is read is what one encoding says, and no other.
    fc.assert(
      fc.property(fc.oneof(near, bytes(1200)), (given) => {
        expect(attempt(given) ?? given).toEqual(given);
      }),
    );
  });

  it.each([
    ['a private key of another length', { form: 'private-key', privateKey: Buffer.alloc(31) }],
    ['a password that is too long', { form: 'password', password: Buffer.alloc(MAX_PASSWORD_BYTES + 1) }],
  ] as const)('is not made of %s', (_, secret) => {
    expect(() => encodeWrapped(secret)).toThrow(malformed);
  });
});

describe('what a message is bound to', () => {
  const field = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text));
  const contexts = fc.record({
    purpose: fc.constantFrom('import' as const, 'export' as const),
    origin: field,
    wrappingKey: field,
    keyName: field,
  });

  it('is written in one way, and is another for every other use', () => {
    expect(wrappingInfo({ purpose: 'import', origin: 'o', wrappingKey: 'w', keyName: 'k' }).toString()).toBe(
      'countersign wrapped secret 1\nimport\no\nw\nk',
    );
    fc.assert(
      fc.property(contexts, contexts, (one, other) => {
        const same = wrappingInfo(one).equals(wrappingInfo(other));
        expect(same).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it('holds no line breaks', () => {
    const context = { purpose: 'import', origin: 'o\nx', wrappingKey: 'w', keyName: 'k' } as const;
    expect(() => wrappingInfo(context)).toThrow(malformed);
  });
});
