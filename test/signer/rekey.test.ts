import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CountersignError } from '../../src/errors.ts';
import { sealedService, type SealedService } from './sealed-service.ts';

const HOUR = 60 * 60 * 1000;
const KDF = { kdf: 'pbkdf2' } as const;
const SHARES = { type: 'shamir', shares: 3, threshold: 2 } as const;

let service: SealedService;

beforeEach(async () => {
  service = await sealedService();
  await service.seal.initialize(service.act, { type: 'file' });
  await service.keys.create(service.act, { name: 'treasury', tags: [] });
});
afterEach(async () => await service.end());

const passphrase = (
  text = 'correct horse battery staple',
): { type: 'passphrase'; passphrase: Buffer; kdf: typeof KDF } => ({
  type: 'passphrase',
  passphrase: Buffer.from(text),
  kdf: KDF,
});

/** From the key file to a passphrase. */
async function changeToPassphrase(): Promise<void> {
  await service.rekey.start(service.act, passphrase(), service.sealKey());
  expect(await service.rekey.verify(service.act, passphrase().passphrase)).toBeUndefined();
}

async function reopen(secret?: Buffer): Promise<void> {
  await service.seal.seal(service.act);
  await service.seal.unseal(service.act, secret);
  expect(await service.allSign()).toBe(1);
}

describe('a change of the seal', () => {
  it('goes from a key file to a passphrase, which the key file does not open any more', async () => {
    await changeToPassphrase();
    expect(service.seal.status().type).toBe('passphrase');
    await reopen(passphrase().passphrase);
    expect(service.kinds('seal.rekey')).toEqual(['seal.rekey_started', 'seal.rekeyed']);
  });

  it('takes the key file from whoever asks: the service does not vouch for them with its own', async () => {
    const { rekey, act } = service;
    await expect(rekey.start(act, passphrase(), undefined)).rejects.toMatchObject({
      code: 'invalid_request',
    });
    const wrong = { type: 'file', secret: Buffer.alloc(32, 7) } as const;
    await expect(rekey.start(act, passphrase(), wrong)).rejects.toMatchObject({ code: 'wrong_password' });
    const other = { type: 'passphrase', secret: Buffer.from('x') } as const;
    await expect(rekey.start(act, passphrase(), other)).rejects.toMatchObject({ code: 'invalid_request' });
    expect(rekey.status()).toBeUndefined();
    expect(service.kinds('seal.rekey')).toEqual(['seal.rekey_refused']);
    await reopen();
  });

  it('wipes the secrets that it was handed', async () => {
    const [first, second] = [passphrase(), passphrase()];
    await service.rekey.start(service.act, first, service.sealKey());
    await service.rekey.verify(service.act, second.passphrase);
    const current = Buffer.from(passphrase().passphrase);
    await service.rekey.start(service.act, SHARES, { type: 'passphrase', secret: current });
    for (const secret of [first.passphrase, second.passphrase, current])
      expect(secret.every((byte) => byte === 0)).toBe(true);
  });

  it('is overtaken by a sealing while the new key is derived', async () => {
    const starting = service.rekey.start(service.act, passphrase(), service.sealKey());
    const sealing = service.seal.seal(service.act);
    await expect(starting).rejects.toThrow(/sealed|cancelled|on its way/);
    await sealing;
    expect(service.rekey.status()).toBeUndefined();
    await service.seal.unseal(service.act);
    expect(await service.allSign()).toBe(1);
    await expect(service.rekey.verify(service.act, passphrase().passphrase)).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  it('is overtaken by a sealing while the new secret is verified: the old seal stays', async () => {
    await service.rekey.start(service.act, passphrase(), service.sealKey());
    const verifying = service.rekey.verify(service.act, passphrase().passphrase);
    const sealing = service.seal.seal(service.act);
    await expect(verifying).rejects.toMatchObject({ code: expect.stringMatching(/conflict|sealed/) });
    await sealing;
    expect(service.seal.status().type).toBe('file');
    await service.seal.unseal(service.act);
    expect(await service.allSign()).toBe(1);
  });

  it('does not lose a term that is added while it is on its way', async () => {
    const { shares } = await service.rekey.start(service.act, SHARES, service.sealKey());
    await service.rootKey.rotate(service.act);
    await service.keys.create(service.act, { name: 'newer', tags: [] });
    await service.rekey.verify(service.act, Buffer.from(shares[0]!));
    await service.rekey.verify(service.act, Buffer.from(shares[2]!));
    // And the next term is stored under the new seal.
    await service.rootKey.rotate(service.act);
    await service.keys.create(service.act, { name: 'newest', tags: [] });
    await service.restart();
    await service.seal.giveShare(service.act, Buffer.from(shares[1]!));
    await service.seal.giveShare(service.act, Buffer.from(shares[2]!));
    expect(await service.allSign()).toBe(3);
  });

  it('leaves everything as it was when the log refuses the last entry, and can be tried again', async () => {
    await service.rekey.start(service.act, passphrase(), service.sealKey());
    service.onCommit((kind) => {
      if (kind === 'seal.rekeyed') throw new CountersignError('unavailable', 'no log');
    });
    await expect(service.rekey.verify(service.act, passphrase().passphrase)).rejects.toThrow('no log');
    expect(service.seal.status().type).toBe('file');
    service.onCommit(undefined);
    expect(await service.rekey.verify(service.act, passphrase().passphrase)).toBeUndefined();
    await reopen(passphrase().passphrase);
  });

  it('gives no share out that is not in the log', async () => {
    service.onCommit((kind) => {
      if (kind === 'seal.rekey_started') throw new CountersignError('unavailable', 'no log');
    });
    await expect(service.rekey.start(service.act, SHARES, service.sealKey())).rejects.toThrow('no log');
    expect(service.rekey.status()).toBeUndefined();
    service.onCommit(undefined);
    await changeToPassphrase();
  });

  it('ends with a signer process that is lost, and the old secret opens the next', async () => {
    await service.rekey.start(service.act, passphrase(), service.sealKey());
    process.kill(service.supervisor.pid!, 'SIGKILL');
    await service.replaced();
    expect(service.rekey.status()).toBeUndefined();
    await service.seal.resume(service.act);
    expect(await service.allSign()).toBe(1);
    await service.tick();
    expect(service.kinds('seal.rekey_cancelled').length).toBe(1);
  });

  it('ends when nobody goes on with it for an hour', async () => {
    const { status } = await service.rekey.start(service.act, passphrase(), service.sealKey());
    expect(Date.parse(status.expiresAt) - Date.parse(status.startedAt)).toBe(HOUR);
    service.advance(HOUR - 1_000);
    await service.tick();
    expect(service.rekey.status()).toBeDefined();
    service.advance(1_001);
    expect(service.rekey.status()).toBeUndefined();
    await expect(service.rekey.verify(service.act, passphrase().passphrase)).rejects.toMatchObject({
      code: 'conflict',
    });
    await service.tick();
    expect(service.kinds('seal.rekey_cancelled').length).toBe(1);
  });

  it('that has ended is not mistaken for one that is started at the moment', async () => {
    await service.rekey.start(service.act, passphrase(), service.sealKey());
    service.advance(HOUR);
    const starting = service.rekey.start(service.act, passphrase(), service.sealKey());
    await Promise.all([starting, service.tick()]);
    expect(service.rekey.status()).toBeDefined();
    expect(service.kinds('seal.rekey_cancelled')).toEqual([]);
  });

  it('ends with a share whose entry cannot be written: what is not in the log does not count', async () => {
    const { shares } = await service.rekey.start(service.act, SHARES, service.sealKey());
    service.onCommit((kind) => {
      if (kind === 'seal.share_given') throw new CountersignError('unavailable', 'no log');
    });
    const given = service.rekey.verify(service.act, Buffer.from(shares[0]!));
    await expect(given).rejects.toMatchObject({ code: 'unavailable' });
    service.onCommit(undefined);
    expect(service.rekey.status()).toBeUndefined();
    await changeToPassphrase();
  });

  it('shows no shares that have waited for too long', async () => {
    const { shares } = await service.rekey.start(service.act, SHARES, service.sealKey());
    expect((await service.rekey.verify(service.act, Buffer.from(shares[0]!)))?.have).toBe(1);
    service.advance(16 * 60 * 1000);
    expect(service.rekey.status()?.have).toBe(0);
  });

  it('never puts a keyring in the place of one that it has not read', () => {
    const stored = service.storage.reads.seal()!;
    const other = { config: stored.config, keyring: Buffer.from('another') };
    const replace = (): void =>
      service.storage.commit((tx) => tx.replaceSeal(Buffer.from('not that'), other));
    expect(replace).toThrow(/changed at the same time/);
    expect(service.storage.reads.seal()).toEqual(stored);
  });
});

describe('shares that unseal', () => {
  it('do not unseal what was sealed again meanwhile', async () => {
    const { shares } = await service.rekey.start(service.act, SHARES, service.sealKey());
    const texts = shares.map((share) => Buffer.from(share));
    await service.rekey.verify(service.act, Buffer.from(texts[0]!));
    await service.rekey.verify(service.act, Buffer.from(texts[1]!));
    await service.seal.seal(service.act);
    await service.seal.giveShare(service.act, Buffer.from(texts[0]!));
    const last = service.seal.giveShare(service.act, Buffer.from(texts[1]!));
    const sealing = service.seal.seal(service.act);
    await Promise.allSettled([last, sealing]);
    await service.seal.seal(service.act);
    expect(service.seal.status()).toMatchObject({ sealed: true, shares: { have: 0 } });
    await expect(service.allSign()).rejects.toMatchObject({ code: 'sealed' });
  });

  it('are asked for in turn: several people at once lose nothing', async () => {
    const { shares } = await service.rekey.start(
      service.act,
      { ...SHARES, shares: 5, threshold: 5 },
      service.sealKey(),
    );
    const texts = shares.map((share) => Buffer.from(share));
    const verified = texts.map((share) => service.rekey.verify(service.act, Buffer.from(share)));
    expect((await Promise.all(verified)).filter((status) => status === undefined).length).toBe(1);
    await service.seal.seal(service.act);
    await Promise.all(texts.map((share) => service.seal.giveShare(service.act, Buffer.from(share))));
    expect(await service.allSign()).toBe(1);
    expect(service.kinds('seal.share_given').length).toBe(10);
  });
});
