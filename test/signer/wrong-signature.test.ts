import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromHex, toHex, type Hex } from '../../src/bytes.ts';
import { addressOf } from '../../src/secp256k1.ts';
import { CheckedSigner, type SigningMaterial } from '../../src/signer/checked-signer.ts';
import { SignatureChecker } from '../../src/signer/checker/checker.ts';
import { Custody } from '../../src/signer/custody.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';
import { FAULTS } from './wrong-signer.ts';

/** With a real signer process that answers wrongly when it is told to, and a real checker. */

const SEAL = { type: 'file' } as const;
const secret = randomBytes(32);
let supervisor: SignerSupervisor;
let checker: SignatureChecker;
let custody: Custody;
let signer: CheckedSigner;
let keyring: Uint8Array;
let lost: string[];
let ready: PromiseWithResolvers<void>;

beforeEach(async () => {
  lost = [];
  ready = Promise.withResolvers();
  supervisor = new SignerSupervisor({
    program: path.join(import.meta.dirname, 'wrong-signer.ts'),
    onReady: () => ready.resolve(),
    onLost: (reason) => {
      lost.push(reason);
      custody.lose();
    },
  });
  checker = new SignatureChecker({ onLost: (reason) => lost.push(`checker: ${reason}`) });
  custody = new Custody(supervisor);
  signer = new CheckedSigner({ custody, checker, supervisor });
  await Promise.all([supervisor.start(), checker.start()]);
  ({ sealed: keyring } = await custody.createKeyring(SEAL, Buffer.from(secret)));
});
afterEach(async () => {
  supervisor.retire();
  checker.stop();
  await supervisor.stop();
});

async function newKey(keyId: string): Promise<SigningMaterial> {
  const pair = { keyId, version: 1, curve: 'secp256k1' } as const;
  const { address, publicKey, sealed } = await custody.generate(pair);
  expect(addressOf(fromHex(publicKey))).toBe(address);
  return { identity: { ...pair, address }, sealed, publicKey };
}

async function sign(key: SigningMaterial, digest: Hex): Promise<unknown> {
  return await signer.sign(key, 'digest', fromHex(digest), digest);
}

const right = (): Hex => toHex(Buffer.concat([Buffer.of(0x0a), randomBytes(31)]));
const wrong = (fault: (typeof FAULTS)[number]): Hex =>
  toHex(Buffer.concat([Buffer.of(0xfa, 0x17, FAULTS.indexOf(fault)), randomBytes(29)]));

async function reopen(): Promise<void> {
  await ready.promise;
  await custody.unseal(SEAL, Buffer.from(secret), keyring);
  custody.settle();
}

describe('a signer process that answers with a wrong signature', () => {
  it.each(['r', 's', 'v', 'no parity', 'digest', 'key', 'short', 'zero'] as const)(
    '(%s) is refused, not asked again, and replaced',
    async (fault) => {
      const first = await newKey('first');
      const key = await newKey('second');
      const { pid } = supervisor;
      await expect(sign(first, right())).resolves.toMatchObject({ yParity: expect.any(Number) });
      await expect(sign(key, right())).resolves.toBeDefined();

      await expect(sign(key, wrong(fault))).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/wrong signature, which was refused/),
      });
      expect(supervisor.state).toBe('starting');
      await expect(sign(key, right())).rejects.toMatchObject({ code: 'unavailable' });
      await reopen();
      expect(lost).toEqual(['it answered with a wrong signature']);
      expect(supervisor.pid).not.toBe(pid);
      await expect(sign(key, right())).resolves.toBeDefined();
    },
  );

  it('takes what is under way with it, and nothing wrong is let through among much that is right', async () => {
    const key = await newKey('a-key');
    const digests = Array.from({ length: 60 }, (_, n) => (n === 30 ? wrong('s') : right()));
    const answers = await Promise.allSettled(digests.map((digest) => sign(key, digest)));
    expect(answers[30]).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    await reopen();
    expect(lost).toEqual(['it answered with a wrong signature']);
    await expect(sign(key, right())).resolves.toBeDefined();
  });
});

describe('a signer process that answers late', () => {
  it.each(['late', 'never'] as const)(
    '(%s) is refused within bounds, and replaced',
    async (fault) => {
      const key = await newKey('a-key');
      await expect(sign(key, right())).resolves.toBeDefined();
      await expect(sign(key, wrong(fault))).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/ended before it answered/),
      });
      await reopen();
      expect(lost).toEqual(['signal SIGKILL']);
      await expect(sign(key, right())).resolves.toBeDefined();
    },
    20_000,
  );
});
