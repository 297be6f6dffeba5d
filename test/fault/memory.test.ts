import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wipe } from '../../src/bytes.ts';
import { openWith } from '../../src/keystore/seal.ts';
import { combineShares } from '../../src/keystore/shamir.ts';
import { parseShare } from '../../src/keystore/share.ts';
import { addressOf, publicKeyOf } from '../../src/secp256k1.ts';
import { openForReading } from '../../src/storage/sqlite/database.ts';
import { sealTables } from '../../src/storage/sqlite/system.ts';
import { expectStatus, startService, until, type KeyAnswer, type RunningService } from '../service.ts';
import { openSecrets, openWrapped, type Opened } from './opened.ts';
import { present, scan, whyNotReadable, type Found } from './memory-scan.ts';

const SIGNATURES = 200;
/** By the signer process while it is unsealed: the wrapping key, so that a new term of the keyring can be sealed. */
const HELD = ['wrappingKey, bytes: 1', 'kek, bytes: 1'];

const refused = await whyNot();
const mustRun = process.env['CI'] === 'true';

test.runIf(mustRun)('the memory of other processes can be read here', () => {
  expect(refused).toBeUndefined();
});

const skipped = refused === undefined ? '' : ` (skipped: ${refused})`;
describe.skipIf(refused !== undefined)(`memory${skipped}`, () => {
  test('a secret that a process holds in these forms is found in each', async () => {
    const secret = randomBytes(32);
    const child = await holdInEveryForm(secret);
    try {
      const found = await scan(child.pid!, { secret });
      const missed = Object.entries(found['secret']!).filter(([, copies]) => copies === 0);
      expect(missed).toEqual([]);
    } finally {
      child.kill('SIGKILL');
    }
  });

  describe('of the service', () => {
    let service: RunningService;
    let secrets: Opened;

    beforeAll(async () => {
      service = await startService({ logLevel: 'info' });
      secrets = await openSecrets(service.data);
    });
    afterAll(async () => {
      wipe(...Object.values(secrets ?? {}));
      await service?.stop();
    });

    test('the key that the test has opened is the one that signs', async () => {
      const key = expectStatus(200, await service.demo.get<KeyAnswer>('/v1/keys/demo'));
      expect(key.versions[0]!.address).toBe(addressOf(publicKeyOf(secrets.privateKey)));
    });

    test('after the start: nothing in the API process', async () => {
      expect(present(await look('API process after the start', service.pid))).toEqual([]);
    });

    test(`while it signs and after ${SIGNATURES} signatures: nothing in the API process, the key in the signer process`, async () => {
      const load = startLoad(service);
      await load.untilSigned(SIGNATURES);
      const busy = await look('API process while it signs', service.pid);
      await look('signer process while it signs', service.signerPid);
      expect(await load.stop()).toBeGreaterThanOrEqual(SIGNATURES);
      expect(present(busy)).toEqual([]);
      expect(present(await look('API process after signing', service.pid))).toEqual([]);

      // So that this scan can fail: there it must be, as bytes and in no other form.
      const signer = await look('signer process after signing', service.signerPid);
      const { bytes, ...otherForms } = signer['privateKey']!;
      expect(bytes).toBeGreaterThanOrEqual(1);
      expect(present({ privateKey: otherForms })).toEqual([]);
    });

    test('after the seal: nothing in either', async () => {
      expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
      expect(present(await look('API process after the seal', service.pid))).toEqual([]);
      expect(present(await look('signer process after the seal', service.signerPid))).toEqual([]);
    });

    test('unsealed and sealed once more: nothing in either', async () => {
      expectStatus(200, await service.admin.post('/v1/sys/unseal', {}));
      expectStatus(200, await service.demo.post('/v1/keys/demo/sign/message', { message: 'again' }));
      const unsealed = await look('signer process after unsealing', service.signerPid);
      expect(unsealed['privateKey']!['bytes']).toBeGreaterThanOrEqual(1);
      expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
      expect(present(await look('API process after the second seal', service.pid))).toEqual([]);
      expect(present(await look('signer process after the second seal', service.signerPid))).toEqual([]);
    });

    async function look(where: string, pid: number): Promise<Found> {
      const found = await scan(pid, secrets);
      console.log(`${where}: ${present(found).join('; ') || 'nothing'}`);
      return found;
    }
  });

  describe.each(['pbkdf2', 'scrypt', 'argon2id'] as const)(
    'of the service with a passphrase seal (%s)',
    (kdf) => {
      const passphrase = randomBytes(24).toString('base64url');
      let service: RunningService;
      let secrets: { readonly wrappingKey: Buffer; readonly kek: Buffer };

      beforeAll(async () => {
        service = await startService({ args: ['--seal', 'passphrase'] });
        const seal = { type: 'passphrase', passphrase, kdf: { kdf } };
        expectStatus(201, await service.admin.post('/v1/sys/init', { seal }));
        secrets = await openWrapped(service.data, passphrase);
      });
      afterAll(async () => {
        wipe(...Object.values(secrets ?? {}));
        await service?.stop();
      });

      test('initialized, then sealed: the keyring is in the signer process, then nowhere', async () => {
        expect(present(await scan(service.pid, secrets))).toEqual([]);
        expect(present(await scan(service.signerPid, withPassphrase()))).toEqual(HELD);
        expect(await leftWhenSealed()).toEqual([]);
      });

      test('unsealed at the second try, then sealed: the same', async () => {
        expectStatus(
          422,
          await service.admin.post('/v1/sys/unseal', { passphrase: 'wrong horse battery staple' }),
        );
        expectStatus(200, await service.admin.post('/v1/sys/unseal', { passphrase }));
        expect(present(await scan(service.signerPid, withPassphrase()))).toEqual(HELD);
        expect(await leftWhenSealed()).toEqual([]);
      });

      function withPassphrase(): { readonly [name: string]: Buffer } {
        return { ...secrets, passphrase: Buffer.from(passphrase) };
      }

      async function leftWhenSealed(): Promise<string[]> {
        expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
        // A passphrase comes to the API process as JSON, and JavaScript text can't be wiped: reported, not refused.
        const text = present(await scan(service.pid, { passphrase: Buffer.from(passphrase) }));
        console.log(`API process after the seal (${kdf}): ${text.join('; ') || 'no passphrase'}`);
        return [
          ...present(await scan(service.pid, secrets)).map((line) => `API process: ${line}`),
          ...present(await scan(service.signerPid, withPassphrase())).map(
            (line) => `signer process: ${line}`,
          ),
        ];
      }
    },
  );

  describe('of the service with a seal in shares', () => {
    let service: RunningService;
    let texts: readonly string[];
    /** Each share's value by its number, what they give, and the KEK that it opens. */
    let secrets: { readonly [name: string]: Buffer };

    beforeAll(async () => {
      service = await startService({ args: ['--seal', 'shamir'] });
      const seal = { type: 'shamir', shares: 3, threshold: 2 };
      const answer = await service.admin.post<{ shares: readonly string[] }>('/v1/sys/init', { seal });
      texts = expectStatus(201, answer).shares;
      secrets = await openShared(service.data, texts);
    });
    afterAll(async () => {
      wipe(...Object.values(secrets ?? {}));
      await service?.stop();
    });

    test('initialized: the key that the shares give is in the signer process, and no share', async () => {
      expect(present(await scan(service.signerPid, secrets))).toEqual(HELD);
      expect(present(await scan(service.pid, secrets))).toEqual([]);
    });

    test('sealed: nothing in either; with one share given, that one in the signer process', async () => {
      expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
      expect(present(await scan(service.signerPid, secrets))).toEqual([]);
      expectStatus(200, await service.admin.post('/v1/sys/unseal', { share: texts[2] }));
      expect(present(await scan(service.signerPid, secrets))).toEqual(['share3, bytes: 1']);
      expect(present(await scan(service.pid, secrets))).toEqual([]);
    });

    test('unsealed with the second, then sealed: the shares are gone at once, the key with the seal', async () => {
      expectStatus(200, await service.admin.post('/v1/sys/unseal', { share: texts[0] }));
      expect(present(await scan(service.signerPid, secrets))).toEqual(HELD);
      expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
      expect(present(await scan(service.signerPid, secrets))).toEqual([]);
      expect(present(await scan(service.pid, secrets))).toEqual([]);
    });
  });
});

/** What the shares hold, the key that they give, and the KEK that it opens. */
async function openShared(
  data: string,
  texts: readonly string[],
): Promise<{ readonly [name: string]: Buffer }> {
  const shares = texts.map((text) => parseShare(Buffer.from(text)));
  const wrappingKey = combineShares(shares.slice(0, 2));
  const { db, close } = openForReading(data);
  try {
    const { config, keyring } = sealTables(db).seal()!;
    const kek = (await openWith(config, wrappingKey, keyring)).kek(1);
    const values = shares.map(({ number, value }) => [`share${number}`, value] as const);
    return { ...Object.fromEntries(values), wrappingKey, kek };
  } finally {
    close();
  }
}

/** Four callers that sign until they are stopped. */
function startLoad(service: RunningService): {
  untilSigned(count: number): Promise<void>;
  stop(): Promise<number>;
} {
  const ending = new AbortController();
  let signed = 0;
  const call = async (_: unknown, caller: number): Promise<void> => {
    while (!ending.signal.aborted) {
      expectStatus(
        200,
        await service.demo.post('/v1/keys/demo/sign/message', { message: `${caller} ${signed}` }),
      );
      signed += 1;
    }
  };
  const callers = Promise.all(Array.from({ length: 4 }, call));
  return {
    untilSigned: async (count) => {
      expect(await until(() => signed >= count, 30_000)).toBe(true);
    },
    stop: async () => {
      ending.abort();
      await callers;
      return signed;
    },
  };
}

/** A process that has been handed a secret on standard input, and holds it in all forms. */
async function holdInEveryForm(secret: Buffer): Promise<ChildProcess> {
  const program = `
    const secret = require('node:fs').readFileSync(0);
    const hex = secret.toString('hex');
    const decimal = BigInt('0x' + hex).toString();
    globalThis.held = [
      secret, Buffer.from(secret).reverse(), hex, hex.toUpperCase(), decimal,
      Buffer.from(hex, 'utf16le'), Buffer.from(hex.toUpperCase(), 'utf16le'), Buffer.from(decimal, 'utf16le'),
      secret.toString('base64'), secret.toString('base64url'), secret.join(','),
      Buffer.concat([secret.subarray(0, 16), Buffer.alloc(16)]), Buffer.concat([Buffer.alloc(16), secret.subarray(16)]),
    ];
    process.stdout.write('held');
    setInterval(() => globalThis.held.length, 1_000);
  `;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(secret);
  await once(child.stdout, 'data');
  return child;
}

/** Asked of a process of our own. */
async function whyNot(): Promise<string | undefined> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    return await whyNotReadable(child.pid!);
  } finally {
    child.kill('SIGKILL');
  }
}
