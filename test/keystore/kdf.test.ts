import { argon2Sync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pbkdf2 as noblePbkdf2 } from '@noble/hashes/pbkdf2.js';
import { argon2id as nobleArgon2id } from '@noble/hashes/argon2.js';
import { scrypt as nobleScrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  checkKdfBounds,
  deriveKey,
  kdfChoiceSchema,
  kdfParamsSchema,
  newKdfParams,
  type KdfParams,
} from '../../src/keystore/kdf.ts';

const vectors = path.resolve(import.meta.dirname, '../../../shared/vectors/kdf');
const SALT = 'ab'.repeat(32);
const password = Buffer.from('correct horse');

const scryptParams = (n: number, r: number, p: number, salt = SALT, dklen = 32): KdfParams => ({
  kdf: 'scrypt',
  n,
  r,
  p,
  dklen,
  salt,
});
const pbkdf2Params = (c: number, salt = SALT, dklen = 32): KdfParams => ({
  kdf: 'pbkdf2',
  prf: 'hmac-sha256',
  c,
  dklen,
  salt,
});
const argon2Params = (
  memoryKiB: number,
  iterations: number,
  parallelism: number,
  salt = SALT,
  dklen = 32,
): KdfParams => ({ kdf: 'argon2id', memoryKiB, iterations, parallelism, dklen, salt });

function load(name: string): unknown {
  return JSON.parse(readFileSync(path.join(vectors, name), 'utf8'));
}

const hexOf = (text: string): string => Buffer.from(text).toString('hex');

describe.skipIf(!existsSync(vectors))(
  'published vectors (skipped where ../shared/vectors is missing)',
  () => {
    it('scrypt: RFC 7914 section 12', async () => {
      type Vector = {
        password: string;
        salt: string;
        N: number;
        r: number;
        p: number;
        dkLen: number;
        out: string;
      };
      const derived: string[] = [];
      for (const v of load('scrypt-rfc7914.json') as Vector[]) {
        const params = scryptParams(v.N, v.r, v.p, hexOf(v.salt), v.dkLen);
        const key = await deriveKey(Buffer.from(v.password), params).catch(
          (error: { code: string }) => error.code,
        );
        derived.push(typeof key === 'string' ? key : key.toString('hex'));
      }
      const [, second, third] = (load('scrypt-rfc7914.json') as Vector[]).map((v) => v.out);
      // The first has no salt, the last needs 1 GiB: both are refused.
      expect(derived).toEqual(['invalid_request', second, third, 'invalid_request']);
    });

    it('PBKDF2: RFC 7914 section 11', async () => {
      type Vector = { password: string; salt: string; c: number; dkLen: number; out: string };
      for (const v of load('pbkdf2-rfc7914.json') as Vector[]) {
        const key = await deriveKey(Buffer.from(v.password), pbkdf2Params(v.c, hexOf(v.salt), v.dkLen));
        expect(key.toString('hex')).toBe(v.out);
      }
    });

    it('argon2id: RFC 9106 section 5.3, by Node and by noble', () => {
      type Vector = Record<'type' | 'password' | 'salt' | 'secret' | 'associatedData' | 'tag', string> &
        Record<'memoryKiB' | 'iterations' | 'parallelism' | 'tagLength' | 'version', number>;
      const v = (load('argon2-rfc9106.json') as Vector[]).find((vector) => vector.type === 'argon2id')!;
      const hex = (text: string): Buffer => Buffer.from(text, 'hex');
      expect(v.version).toBe(0x13);
      const node = argon2Sync('argon2id', {
        message: hex(v.password),
        nonce: hex(v.salt),
        memory: v.memoryKiB,
        passes: v.iterations,
        parallelism: v.parallelism,
        tagLength: v.tagLength,
        secret: hex(v.secret),
        associatedData: hex(v.associatedData),
      });
      const noble = nobleArgon2id(hex(v.password), hex(v.salt), {
        t: v.iterations,
        m: v.memoryKiB,
        p: v.parallelism,
        dkLen: v.tagLength,
        key: hex(v.secret),
        personalization: hex(v.associatedData),
      });
      expect(node.toString('hex')).toBe(v.tag);
      expect(Buffer.from(noble).toString('hex')).toBe(v.tag);
    });
  },
);

describe('deriveKey agrees with @noble/hashes', () => {
  const passwords = fc.uint8Array({ maxLength: 200 });
  const dklens = fc.integer({ min: 32, max: 64 });
  const salts = (min: number) => fc.uint8Array({ minLength: min, maxLength: 64 });
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

  it('scrypt', async () => {
    const property = fc.asyncProperty(
      passwords,
      salts(1),
      dklens,
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      async (password, salt, dkLen, log2n, r, p) => {
        const key = await deriveKey(password, scryptParams(2 ** log2n, r, p, hex(salt), dkLen));
        expect(hex(key)).toBe(hex(nobleScrypt(password, salt, { N: 2 ** log2n, r, p, dkLen })));
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('scrypt with N >= 2^(16·r), which OpenSSL refuses', async () => {
    const salt = Buffer.from(SALT, 'hex');
    for (const [n, p] of [
      [2 ** 16, 1],
      [2 ** 17, 2],
    ] as const) {
      const key = await deriveKey(password, scryptParams(n, 1, p, SALT, 48));
      expect(hex(key)).toBe(hex(nobleScrypt(password, salt, { N: n, r: 1, p, dkLen: 48 })));
    }
  });

  it('PBKDF2', async () => {
    const property = fc.asyncProperty(
      passwords,
      salts(1),
      dklens,
      fc.integer({ min: 1, max: 500 }),
      async (password, salt, dkLen, c) => {
        const key = await deriveKey(password, pbkdf2Params(c, hex(salt), dkLen));
        expect(hex(key)).toBe(hex(noblePbkdf2(sha256, password, salt, { c, dkLen })));
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it('argon2id', async () => {
    const property = fc.asyncProperty(
      passwords,
      salts(8),
      dklens,
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 8, max: 64 }),
      fc.integer({ min: 1, max: 3 }),
      async (password, salt, dkLen, p, perLane, t) => {
        const m = perLane * p;
        const key = await deriveKey(password, argon2Params(m, t, p, hex(salt), dkLen));
        expect(hex(key)).toBe(hex(nobleArgon2id(password, salt, { m, t, p, dkLen })));
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});

describe('newKdfParams', () => {
  it('defaults to the floors with a fresh salt', () => {
    expect(newKdfParams()).toMatchObject({ kdf: 'scrypt', n: 131072, r: 8, p: 1, dklen: 32 });
    expect(newKdfParams('pbkdf2')).toMatchObject({
      kdf: 'pbkdf2',
      prf: 'hmac-sha256',
      c: 600_000,
      dklen: 32,
    });
    expect(newKdfParams('argon2id')).toMatchObject({
      memoryKiB: 65536,
      iterations: 3,
      parallelism: 4,
      dklen: 32,
    });
    const salts = Array.from({ length: 100 }, () => newKdfParams().salt);
    expect(new Set(salts).size).toBe(100);
    expect(salts.every((salt) => /^[0-9a-f]{64}$/.test(salt))).toBe(true);
  });

  it('takes stronger parameters, and writes what kdfParamsSchema reads', () => {
    const params = newKdfParams({ kdf: 'scrypt', n: 2 ** 18 });
    expect(params).toMatchObject({ n: 2 ** 18, r: 8, p: 1 });
    for (const choice of ['scrypt', 'pbkdf2', 'argon2id'] as const) {
      const written = newKdfParams(choice);
      expect(kdfParamsSchema.parse(JSON.parse(JSON.stringify(written)))).toEqual(written);
    }
  });

  it.each([
    [{ kdf: 'scrypt', n: 2 ** 16 }, 'n'],
    [{ kdf: 'scrypt', n: 2 ** 18, r: 4 }, 'r'],
    [{ kdf: 'scrypt', p: 0 }, 'p'],
    [{ kdf: 'scrypt', n: 2 ** 17 + 1 }, 'kdf.n'],
    [{ kdf: 'scrypt', n: 2 ** 30 }, 'kdf.n'],
    [{ kdf: 'pbkdf2', c: 599_999 }, 'c'],
    [{ kdf: 'pbkdf2', c: 600_000.5 }, 'c'],
    [{ kdf: 'pbkdf2', c: 1e12 }, 'kdf.c'],
    [{ kdf: 'argon2id', memoryKiB: 65535 }, 'memoryKiB'],
    [{ kdf: 'argon2id', iterations: 2 }, 'iterations'],
    [{ kdf: 'argon2id', parallelism: 3 }, 'parallelism'],
    [{ kdf: 'scrypt', dklen: 16 }, 'dklen'],
    [{ kdf: 'scrypt', salt: '00' }, 'salt'],
    [{ kdf: 'md5' }, 'kdf'],
  ])('refuses %j', (choice, path) => {
    expect(() => newKdfParams(choice as never)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        errors: expect.arrayContaining([expect.objectContaining({ path })]),
      }),
    );
  });

  it('describes itself for the API document', () => {
    const text = JSON.stringify(z.toJSONSchema(kdfChoiceSchema, { io: 'input' }));
    expect(text).toContain('"minimum":131072');
    expect(text).toContain('argon2id version 1.3');
  });
});

describe('checkKdfBounds', () => {
  it.each([
    scryptParams(262144, 8, 1),
    scryptParams(262144, 1, 8),
    scryptParams(4096, 8, 6),
    scryptParams(2 ** 19, 8, 1),
    scryptParams(2, 8, 1, '00'),
    pbkdf2Params(1),
    pbkdf2Params(10_000_000),
    argon2Params(8, 1, 1),
    argon2Params(512 * 1024, 8, 16),
  ])('admits %j', (params) => {
    expect(() => checkKdfBounds(params)).not.toThrow();
  });

  it.each([
    ['n', scryptParams(2 ** 20, 8, 1)],
    ['n', scryptParams(2 ** 31, 1, 1)],
    ['n', scryptParams(2 ** 40, 8, 1)],
    ['n', scryptParams(1, 8, 1)],
    ['n', scryptParams(0, 8, 1)],
    ['n', scryptParams(-2, 8, 1)],
    ['n', scryptParams(100_000, 8, 1)],
    ['n', scryptParams(Number.NaN, 8, 1)],
    ['n', scryptParams(2, 2 ** 22, 2)],
    ['n', scryptParams(2, 1, 2 ** 23)],
    ['p', scryptParams(2 ** 18, 8, 2 ** 4)],
    ['p', scryptParams(2 ** 18, 1, 2 ** 7)],
    ['r', scryptParams(2, 2 ** 31, 1)],
    ['r', scryptParams(1024, 0, 1)],
    ['p', scryptParams(1024, 8, 0)],
    ['p', scryptParams(1024, 8, 1.5)],
    ['p', scryptParams(1024, 8, Number.POSITIVE_INFINITY)],
    ['c', pbkdf2Params(0)],
    ['c', pbkdf2Params(10_000_001)],
    ['c', pbkdf2Params(10_000_000, SALT, 64)],
    ['c', pbkdf2Params(2 ** 53)],
    ['memoryKiB', argon2Params(512 * 1024 + 1, 1, 1)],
    ['memoryKiB', argon2Params(31, 1, 4)],
    ['iterations', argon2Params(512 * 1024, 9, 1)],
    ['iterations', argon2Params(64, 0, 1)],
    ['parallelism', argon2Params(2 ** 19, 1, 17)],
    ['salt', argon2Params(64, 1, 1, '00'.repeat(7))],
    ['salt', scryptParams(1024, 8, 1, '')],
    ['salt', pbkdf2Params(1, '00'.repeat(65))],
    ['dklen', pbkdf2Params(1, SALT, 31)],
    ['dklen', pbkdf2Params(1, SALT, 65)],
    ['dklen', scryptParams(1024, 8, 1, SALT, 2 ** 32)],
  ])('refuses, naming %s: %j', async (field, params) => {
    const started = performance.now();
    await expect(deriveKey(password, params)).rejects.toMatchObject({
      code: 'invalid_request',
      errors: [{ path: `kdf.${field}` }],
    });
    expect(performance.now() - started).toBeLessThan(50);
    expect(() => checkKdfBounds(params, 'crypto.kdfparams')).toThrow(`crypto.kdfparams.${field}: `);
  });
});

describe('deriveKey', () => {
  it('leaves the event loop free and the password as it was, whichever library works', async () => {
    for (const params of [
      scryptParams(2 ** 17, 8, 1),
      scryptParams(2 ** 17, 1, 4),
      newKdfParams('pbkdf2'),
      newKdfParams('argon2id'),
    ]) {
      let longest = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 1);
      const started = performance.now();
      const secret = Buffer.from(password);
      await deriveKey(secret, params);
      clearInterval(timer);
      expect(secret).toEqual(password);
      // A derivation on the event loop would be one gap as long as the whole.
      expect(longest).toBeLessThan((performance.now() - started) * 0.8);
    }
  });

  it('returns memory of its own', async () => {
    for (const params of [
      scryptParams(2, 1, 1),
      scryptParams(2 ** 16, 1, 1),
      pbkdf2Params(1),
      argon2Params(8, 1, 1),
    ]) {
      const key = await deriveKey(password, params);
      expect([params.kdf, key.buffer.byteLength, key.buffer instanceof ArrayBuffer]).toEqual([
        params.kdf,
        32,
        true,
      ]);
    }
  });

  it('runs two at once', async () => {
    const order: string[] = [];
    const run = (name: string, c: number) =>
      deriveKey(password, pbkdf2Params(c)).then(() => order.push(name));
    await Promise.all([run('long', 6_000_000), run('middle', 2_000_000), run('short', 1)]);
    expect(order).toEqual(['middle', 'short', 'long']);
  });

  it('refuses when too many wait, and recovers', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, () => deriveKey(password, pbkdf2Params(1000))),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.map((result) => (result.reason as { code: string }).code)).toEqual(
      Array.from({ length: 6 }, () => 'unavailable'),
    );
    expect(await deriveKey(password, pbkdf2Params(1))).toHaveLength(32);
  });
});
