import { createCipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { keccak_256 } from '@noble/hashes/sha3.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { computeAddress, decryptKeystoreJson, encryptKeystoreJson, hexlify } from 'ethers';
import { describe, expect, it } from 'vitest';
import {
  exportKeystore,
  keystoreKdfChoiceSchema,
  openKeystore,
  parseKeystore,
  type Keystore,
} from '../../src/keystore/web3-keystore.ts';

const root = path.resolve(import.meta.dirname, '../..');
const vectors = path.resolve(root, '../shared/vectors/keystore-v3/ethereum-tests.json');
const password = Buffer.from('testpassword');
const privateKey = Buffer.from('7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d', 'hex');
const address = '0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b';

/** A file written by other code than the one under test, with a KDF that costs nothing. */
function cheapFile(secret: Uint8Array = privateKey) {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = scrypt(password, salt, { N: 2, r: 8, p: 1, dkLen: 32 });
  const ciphertext = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv).update(secret);
  const mac = keccak_256(Buffer.concat([derived.subarray(16), ciphertext]));
  return {
    version: 3,
    id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
    crypto: {
      cipher: 'aes-128-ctr',
      cipherparams: { iv: iv.toString('hex') },
      ciphertext: ciphertext.toString('hex'),
      kdf: 'scrypt',
      kdfparams: { n: 2, r: 8, p: 1, dklen: 32, salt: salt.toString('hex') },
      mac: Buffer.from(mac).toString('hex'),
    },
  };
}

async function open(json: unknown, secret: Uint8Array = password): Promise<string> {
  return (await openKeystore(parseKeystore(json), secret)).toString('hex');
}

interface Wallet {
  readonly name: string;
  readonly type: string;
  readonly hasAddress: boolean;
  readonly address: string;
  readonly privateKey: string;
  readonly password: string | null;
  readonly json: string;
}

describe.skipIf(!existsSync(vectors))(
  'the vectors of ethereum/tests (skipped where ../shared/vectors is missing)',
  () => {
    type Vector = { json: unknown; password: string; priv: string };
    const cases = existsSync(vectors)
      ? Object.entries(JSON.parse(readFileSync(vectors, 'utf8')) as Record<string, Vector>)
      : [];

    it('are five', () => {
      expect(cases).toHaveLength(5);
    });

    it.each(cases)('%s', async (_, vector) => {
      expect(await open(vector.json, Buffer.from(vector.password))).toBe(vector.priv);
    });
  },
);

describe('the wallets of the ethers test cases', () => {
  const file = path.join(root, 'node_modules/@ethersproject/testcases/testcases/wallets.json.gz');
  const wallets = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Wallet[];
  const keystores = wallets.filter((wallet) => wallet.type === 'secret-storage');

  it('are V3 but for two of the crowdsale format, which is refused', () => {
    const others = wallets.filter((wallet) => wallet.type === 'crowdsale');
    expect([keystores.length, others.length]).toEqual([7, 2]);
    for (const { json } of others) {
      expect(() => parseKeystore(JSON.parse(json))).toThrow(
        expect.objectContaining({ code: 'invalid_request' }),
      );
    }
  });

  it.each(keystores.map((wallet) => [wallet.name, wallet] as const))('%s', async (_, wallet) => {
    const keystore = parseKeystore(JSON.parse(wallet.json));
    const key = await openKeystore(keystore, Buffer.from(wallet.password ?? ''));
    expect(hexlify(key)).toBe(wallet.privateKey);
    expect(keystore.address).toBe(wallet.hasAddress ? wallet.address.slice(2) : undefined);
  });
});

describe('with ethers', () => {
  it('opens what ethers writes', async () => {
    const json = await encryptKeystoreJson({ address, privateKey: hexlify(privateKey) }, 'testpassword', {
      scrypt: { N: 1024, r: 8, p: 1 },
    });
    expect(await open(JSON.parse(json))).toBe(privateKey.toString('hex'));
  });

  it.each(['scrypt', 'pbkdf2'] as const)('writes what ethers opens, derived with %s', async (kdf) => {
    const keystore = await exportKeystore(privateKey, address, password, { kdf });
    const account = await decryptKeystoreJson(JSON.stringify(keystore), 'testpassword');
    expect(account).toMatchObject({ address, privateKey: hexlify(privateKey) });
  });
});

describe('exportKeystore', () => {
  it('writes normal V3 with fresh id, salt and IV, and opens its own', async () => {
    const key = randomBytes(32);
    const files = await Promise.all(
      [1, 2].map(() => exportKeystore(key, computeAddress(hexlify(key)), password)),
    );
    const [first, second] = files as [Keystore, Keystore];
    expect(first).toMatchObject({
      version: 3,
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      address: computeAddress(hexlify(key)).slice(2).toLowerCase(),
      crypto: { cipher: 'aes-128-ctr', kdf: 'scrypt', kdfparams: { n: 131072, r: 8, p: 1, dklen: 32 } },
    });
    expect(parseKeystore(JSON.parse(JSON.stringify(first)))).toEqual(first);
    expect(await open(first)).toBe(key.toString('hex'));
    const fresh = ({ id, crypto }: Keystore) => [
      id,
      crypto.kdfparams.salt,
      crypto.cipherparams.iv,
      crypto.mac,
    ];
    expect(new Set([...fresh(first), ...fresh(second)]).size).toBe(8);
  });

  it.each([
    [privateKey.subarray(1), address, { kdf: 'scrypt' }, 'unprocessable'],
    [privateKey, '0x1234', { kdf: 'scrypt' }, 'invalid_request'],
    [privateKey, address, { kdf: 'scrypt', n: 4096 }, 'invalid_request'],
    [privateKey, address, { kdf: 'pbkdf2', c: 1 }, 'invalid_request'],
    [privateKey, address, { kdf: 'argon2id' }, 'invalid_request'],
  ])('refuses a short key, a bad address, a weak or unknown KDF', async (key, address, choice, code) => {
    await expect(exportKeystore(key, address, password, choice as never)).rejects.toMatchObject({ code });
  });
});

describe('keystoreKdfChoiceSchema', () => {
  it.each([{ kdf: 'scrypt', n: 4096 }, { kdf: 'pbkdf2', c: 1 }, { kdf: 'argon2id' }])(
    'refuses %j',
    (choice) => {
      expect(keystoreKdfChoiceSchema.safeParse(choice).success).toBe(false);
    },
  );
});

describe('openKeystore', () => {
  const wrong = { code: 'wrong_password', message: 'the keystore does not open with this password' };

  it('refuses a wrong password', async () => {
    await expect(open(cheapFile(), Buffer.from('testpasswore'))).rejects.toMatchObject(wrong);
    await expect(open(cheapFile(), Buffer.alloc(0))).rejects.toMatchObject(wrong);
  });

  it('refuses any flipped bit of the MAC, and of the ciphertext', async () => {
    const file = cheapFile();
    for (const field of ['mac', 'ciphertext'] as const) {
      for (let bit = 0; bit < 256; bit += 1) {
        const bytes = Buffer.from(file.crypto[field], 'hex');
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const flipped = { ...file, crypto: { ...file.crypto, [field]: bytes.toString('hex') } };
        await expect(open(flipped)).rejects.toMatchObject(wrong);
      }
    }
  });

  it('restores the zeros that early writers dropped', async () => {
    const short = privateKey.subarray(2);
    expect(await open(cheapFile(short))).toBe(`0000${short.toString('hex')}`);
  });

  it('returns memory of its own', async () => {
    const key = await openKeystore(parseKeystore(cheapFile()), password);
    expect(key.buffer.byteLength).toBe(32);
  });

  it('refuses a KDF bomb in milliseconds even when the file was not parsed here', async () => {
    const keystore = parseKeystore(cheapFile());
    if (keystore.crypto.kdf !== 'scrypt') throw new Error('not scrypt');
    const kdfparams = { ...keystore.crypto.kdfparams, n: 2 ** 31 };
    const started = performance.now();
    await expect(
      openKeystore({ ...keystore, crypto: { ...keystore.crypto, kdfparams } }, password),
    ).rejects.toMatchObject({ code: 'invalid_request' });
    expect(performance.now() - started).toBeLessThan(50);
  });
});

describe('parseKeystore', () => {
  it('ignores other fields and takes Crypto, 0x and upper case', async () => {
    const { crypto, ...rest } = cheapFile();
    const loose = {
      ...rest,
      name: 'Blank',
      meta: '{}',
      'x-ethers': { version: '0.1' },
      address,
      Crypto: {
        ...crypto,
        version: 1,
        ciphertext: `0x${crypto.ciphertext.toUpperCase()}`,
        kdfparams: { ...crypto.kdfparams, extra: 1 },
      },
    };
    const keystore = parseKeystore(loose);
    expect(keystore).toEqual({ ...rest, crypto, address: address.slice(2).toLowerCase() });
    expect(await open(loose)).toBe(privateKey.toString('hex'));
  });

  const changes: readonly (readonly [string, string, unknown])[] = [
    ['version', 'version', 4],
    ['version', 'version', '3'],
    ['version', 'version', undefined],
    ['address', 'address', '0x12'],
    ['address', 'address', 'g'.repeat(40)],
    ['id', 'id', 7],
    ['crypto', 'crypto', undefined],
    ['crypto', 'crypto', 'x'],
    ['crypto', 'Crypto', {}],
    ['crypto.cipher', 'crypto.cipher', 'aes-256-ctr'],
    ['crypto.cipherparams', 'crypto.cipherparams', null],
    ['crypto.cipherparams.iv', 'crypto.cipherparams.iv', '00'],
    ['crypto.ciphertext', 'crypto.ciphertext', ''],
    ['crypto.ciphertext', 'crypto.ciphertext', '00'.repeat(33)],
    ['crypto.ciphertext', 'crypto.ciphertext', 'abc'],
    ['crypto.mac', 'crypto.mac', '00'.repeat(31)],
    ['crypto.mac', 'crypto.mac', undefined],
    ['crypto.kdf', 'crypto.kdf', 'argon2id'],
    ['crypto.kdf', 'crypto.kdf', undefined],
    ['crypto.kdfparams', 'crypto.kdfparams', undefined],
    ['crypto.kdfparams.n', 'crypto.kdfparams.n', '2'],
    ['crypto.kdfparams.n', 'crypto.kdfparams.n', 3],
    ['crypto.kdfparams.n', 'crypto.kdfparams.n', 2 ** 31],
    ['crypto.kdfparams.r', 'crypto.kdfparams.r', 1e300],
    ['crypto.kdfparams.p', 'crypto.kdfparams.p', 2 ** 30],
    ['crypto.kdfparams.dklen', 'crypto.kdfparams.dklen', 16],
    ['crypto.kdfparams.dklen', 'crypto.kdfparams.dklen', 2 ** 40],
    ['crypto.kdfparams.salt', 'crypto.kdfparams.salt', 'zz'],
    ['crypto.kdfparams.salt', 'crypto.kdfparams.salt', ''],
  ];

  it.each(changes)('names %s when %s is %j', (named, at, value) => {
    const file: unknown = cheapFile();
    const steps = at.split('.');
    const last = steps.pop() ?? '';
    const parent = steps.reduce((node, step) => (node as Record<string, unknown>)[step], file);
    (parent as Record<string, unknown>)[last] = value;
    const started = performance.now();
    expect(() => parseKeystore(file)).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        errors: expect.arrayContaining([expect.objectContaining({ path: named })]),
      }),
    );
    expect(performance.now() - started).toBeLessThan(50);
  });

  it.each([
    ['c', 0],
    ['c', 2 ** 52],
    ['prf', 'hmac-sha1'],
    ['prf', undefined],
  ])('names crypto.kdfparams.%s of PBKDF2 when it is %j', (field, value) => {
    const { crypto, ...rest } = cheapFile();
    const kdfparams = { c: 1000, prf: 'hmac-sha256', dklen: 32, salt: '00'.repeat(32), [field]: value };
    expect(() => parseKeystore({ ...rest, crypto: { ...crypto, kdf: 'pbkdf2', kdfparams } })).toThrow(
      expect.objectContaining({ errors: [expect.objectContaining({ path: `crypto.kdfparams.${field}` })] }),
    );
  });

  it.each([null, undefined, 'text', 7, [], {}])('refuses %j', (json) => {
    expect(() => parseKeystore(json)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });
});
