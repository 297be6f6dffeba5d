import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { toHex, type Hex } from '../../src/bytes.ts';
import { publicKeyOf, signDigest } from '../../src/secp256k1.ts';
import { SignatureChecker } from '../../src/signer/checker/checker.ts';
import { CAPACITY } from '../../src/signer/checker/ring.ts';

let checker: SignatureChecker;
let lost: string[];

async function start(program?: string): Promise<PromiseWithResolvers<void>> {
  lost = [];
  const ready = Promise.withResolvers<void>();
  checker = new SignatureChecker({
    onLost: (reason) => lost.push(reason),
    onReady: () => ready.resolve(),
    program: program === undefined ? undefined : new URL(program, import.meta.url),
  });
  await checker.start();
  return ready;
}
afterEach(() => checker.stop());

const PRIVATE_KEY = Buffer.alloc(32, 7);
const PUBLIC_KEY = toHex(publicKeyOf(PRIVATE_KEY));

async function checkOne(digest = randomBytes(32), flip?: number): Promise<boolean> {
  const signature = signDigest(digest, PRIVATE_KEY);
  if (flip !== undefined) signature[flip]! ^= 1;
  return await checker.check(toHex(digest), signature, PUBLIC_KEY);
}

describe('the checker', () => {
  it('tells each of many signatures by itself, in whatever turns they come', async () => {
    await start();
    const asked = fc.array(fc.option(fc.nat(64), { nil: undefined }), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(asked, fc.nat(5), async (flips, turn) => {
        const verdicts = flips.map(async (flip, index) => {
          if (index % 6 > turn) await new Promise<void>((resolve) => setImmediate(resolve));
          return await checkOne(undefined, flip);
        });
        expect(await Promise.all(verdicts)).toEqual(flips.map((flip) => flip === undefined));
      }),
      { numRuns: 50 },
    );
    // More than once around the ring.
    for (let n = 0; n < 3; n++) {
      const round = await Promise.all(Array.from({ length: 2_000 }, () => checkOne()));
      expect(new Set(round)).toEqual(new Set([true]));
    }
  }, 30_000);

  it('finds nothing good that has not the shape of one', async () => {
    await start();
    const digest = randomBytes(32);
    const signature = signDigest(digest, PRIVATE_KEY);
    expect(await checker.check(toHex(digest), signature, PUBLIC_KEY)).toBe(true);
    const shapes: [Hex, Buffer, Hex][] = [
      [toHex(digest.subarray(1)), signature, PUBLIC_KEY],
      [toHex(digest), signature.subarray(0, 64), PUBLIC_KEY],
      [toHex(digest), Buffer.concat([signature, Buffer.of(0)]), PUBLIC_KEY],
      [toHex(digest), signature, PUBLIC_KEY.slice(0, -2) as Hex],
      ['0x', signature, PUBLIC_KEY],
    ];
    for (const shape of shapes) expect(await checker.check(...shape)).toBe(false);
    expect(await checker.check(toHex(digest), signature, PUBLIC_KEY)).toBe(true);
  });

  it('refuses more than it has room for', async () => {
    await start();
    const digest = toHex(randomBytes(32));
    const signature = signDigest(randomBytes(32), PRIVATE_KEY);
    const asked = Array.from({ length: CAPACITY + 5 }, () => checker.check(digest, signature, PUBLIC_KEY));
    const answers = await Promise.allSettled(asked);
    expect(answers.slice(0, CAPACITY).every((answer) => answer.status === 'fulfilled' && !answer.value)).toBe(
      true,
    );
    expect(answers.slice(CAPACITY).map((answer) => answer.status)).toEqual(Array(5).fill('rejected'));
    expect(await checkOne()).toBe(true);
  });

  it('checks nothing before it is started and after it is stopped', async () => {
    checker = new SignatureChecker({ onLost: () => undefined });
    await expect(checkOne()).rejects.toMatchObject({ code: 'unavailable' });
    await start();
    const underWay = checkOne();
    checker.stop();
    await expect(underWay).rejects.toMatchObject({ code: 'unavailable' });
    await expect(checkOne()).rejects.toMatchObject({ code: 'unavailable' });
    await sleep(100);
    expect(lost).toEqual([]);
  });
});

describe('a checker that is broken', () => {
  it('does not pass its self-test, and so nothing starts with it', async () => {
    await expect(start('./believing-checker.ts')).rejects.toThrow(
      /self-test failed: another digest, another key, the other parity/,
    );
    expect(checker.state).not.toBe('ready');
    await expect(checkOne()).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each([
    ['ends', 0, 'exit code 3'],
    ['throws', 1, 'it failed: broken'],
    ['gives no verdict', 3, 'it gave no verdict'],
    ['counts what it was not given', 4, 'it counted what it was not given'],
    ['stands still', 2, 'it did nothing for five seconds'],
  ] as const)(
    '(%s) is replaced, and what it was to check is not believed',
    async (_, fault, reason) => {
      const ready = await start('./faulty-checker.ts');
      expect(await checkOne()).toBe(true);
      const digest = Buffer.concat([Buffer.of(0xfa, 0x17, fault), randomBytes(29)]);
      await expect(checkOne(digest)).rejects.toMatchObject({ code: 'unavailable' });
      expect(lost).toEqual([reason]);
      expect(() => checker.requireReady()).toThrow(/cannot be checked now/);
      await ready.promise;
      expect(await checkOne()).toBe(true);
    },
    20_000,
  );
});
