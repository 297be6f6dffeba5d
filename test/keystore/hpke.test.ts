import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HPKE_SUITE, hpkeOpen, hpkeSeal, newHpkeKeyPair } from '../../src/keystore/hpke.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

/**
 * The official vector of this suite in base mode (mode 0, kem_id 32, kdf_id 1, aead_id 2), its first encryption: RFC 9180
 * prints none for AES-256-GCM with X25519, and refers to the file that this is from (appendix A).
 */
const VECTOR = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  skRm: '497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d',
  pkRm: hex('430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c'),
  skEm: '179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11',
  enc: hex('6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256'),
  aad: hex('436f756e742d30'),
  plaintext: hex('4265617574792069732074727574682c20747275746820626561757479'),
  ciphertext: hex(
    'e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a',
  ),
};
const recipient = () => ({ privateKey: hex(VECTOR.skRm), publicKey: VECTOR.pkRm });

describe('the published vector', () => {
  const { info, aad, enc, pkRm, plaintext, ciphertext } = VECTOR;

  it('is what is sealed with its ephemeral key', () => {
    const ephemeral = { privateKey: hex(VECTOR.skEm), publicKey: enc };
    expect(hpkeSeal(pkRm, info, plaintext, aad, ephemeral)).toEqual({ enc, ciphertext });
    // The ephemeral key is good for one message.
    expect(ephemeral.privateKey).toEqual(Buffer.alloc(32));
  });

  it('opens', () => {
    expect(hpkeOpen(recipient(), { enc, ciphertext }, info, aad)).toEqual(plaintext);
  });
});

const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));

describe('compared with @hpke/core', () => {
  const suite = new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
  // Its types want memory that is not shared, and it reads the whole of it.
  const plain = (data: Uint8Array): ArrayBuffer => new Uint8Array(data).buffer;

  it('is the suite that is named', () => {
    expect([suite.kem.id, suite.kdf.id, suite.aead.id]).toEqual([0x20, 1, 2]);
    expect(HPKE_SUITE).toBe('DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM');
  });

  it('opens what it seals', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, bytes, bytes, async (info, plaintext, aad) => {
        const pair = newHpkeKeyPair();
        const recipientPublicKey = await suite.kem.deserializePublicKey(plain(pair.publicKey));
        const sender = await suite.createSenderContext({ recipientPublicKey, info: plain(info) });
        const ciphertext = Buffer.from(await sender.seal(plain(plaintext), plain(aad)));
        const message = { enc: Buffer.from(sender.enc), ciphertext };
        expect(hpkeOpen(pair, message, info, aad)).toEqual(plaintext);
      }),
    );
  });

  it('seals what it opens', async () => {
    await fc.assert(
      fc.asyncProperty(bytes, bytes, bytes, async (info, plaintext, aad) => {
        const pair = newHpkeKeyPair();
        const { enc, ciphertext } = hpkeSeal(pair.publicKey, info, plaintext, aad);
        const recipientKey = await suite.kem.importKey('raw', plain(pair.privateKey), false);
        const context = await suite.createRecipientContext({
          recipientKey,
          enc: plain(enc),
          info: plain(info),
        });
        expect(Buffer.from(await context.open(plain(ciphertext), plain(aad)))).toEqual(plaintext);
      }),
    );
  });
});

describe('what was not meant', () => {
  const info = Buffer.from('info');

  it('does not open after any change of a byte', () => {
    const pair = newHpkeKeyPair();
    const sealed = hpkeSeal(pair.publicKey, info, randomBytes(48));
    fc.assert(
      fc.property(
        fc.constantFrom('enc', 'ciphertext', 'info', 'aad'),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (part, at, change) => {
          const parts = { ...sealed, info: Buffer.from(info), aad: Buffer.alloc(0) };
          const altered = part === 'aad' ? Buffer.from('x') : Buffer.from(parts[part]);
          if (part !== 'aad') altered[at % altered.length]! ^= change;
          const given = Object.assign(parts, { [part]: altered });
          // The highest bit of a public key is not part of it (RFC 7748, section 5), but enc is bound as it was sent.
          expect(() => hpkeOpen(pair, given, given.info, given.aad)).toThrow(
            expect.objectContaining({ code: expect.stringMatching(/unprocessable|invalid_request/) }),
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it('does not open with another key, nor cut', () => {
    const pair = newHpkeKeyPair();
    const { enc, ciphertext } = hpkeSeal(pair.publicKey, info, Buffer.from('secret'));
    const open = (key: typeof pair, cut: Buffer): Buffer => hpkeOpen(key, { enc, ciphertext: cut }, info);
    const unreadable = expect.objectContaining({ code: 'unprocessable' });
    expect(() => open(newHpkeKeyPair(), ciphertext)).toThrow(unreadable);
    for (let length = 0; length < ciphertext.length; length++) {
      expect(() => open(pair, ciphertext.subarray(0, length))).toThrow(unreadable);
    }
  });

  // RFC 7748, section 6.1, and RFC 9180, section 7.1.4: points whose secret is zero, whoever the other is.
  it.each([
    ['zero', '00'.repeat(32)],
    ['one', `01${'00'.repeat(31)}`],
    ['of order 8', 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800'],
    ['too short', '11'.repeat(31)],
    ['too long', '11'.repeat(33)],
  ])('refuses a public key that is %s', (_, key) => {
    const refused = expect.objectContaining({ code: 'invalid_request' });
    expect(() => hpkeSeal(hex(key), info, Buffer.from('x'))).toThrow(refused);
    const message = { enc: hex(key), ciphertext: Buffer.alloc(40) };
    expect(() => hpkeOpen(newHpkeKeyPair(), message, info)).toThrow(refused);
  });
});
