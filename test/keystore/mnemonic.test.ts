import { createHash } from 'node:crypto';
import { HDNodeWallet, Mnemonic } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ENGLISH_WORDS } from '../../src/keystore/bip39-english.ts';
import { mnemonicSeed, readMnemonic, wellKnownMnemonic } from '../../src/keystore/mnemonic.ts';

const seedOf = (phrase: string, passphrase = ''): string =>
  mnemonicSeed(readMnemonic(Buffer.from(phrase)), Buffer.from(passphrase)).toString('hex');
const refusal = (message: RegExp) =>
  expect.objectContaining({ code: 'invalid_request', message: expect.stringMatching(message) });

function isRead(phrase: string): boolean {
  try {
    readMnemonic(Buffer.from(phrase));
    return true;
  } catch {
    return false;
  }
}

const entropy = fc
  .constantFrom(16, 20, 24, 28, 32)
  .chain((length) => fc.uint8Array({ minLength: length, maxLength: length }));

it('has the English words of BIP-39', () => {
  const text = `${ENGLISH_WORDS.join('\n')}\n`;
  // Of bip-0039/english.txt.
  expect(createHash('sha256').update(text).digest('hex')).toBe(
    '2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda',
  );
});

// From the vectors that BIP-39 names, with the passphrase TREZOR.
it.each([
  [
    `${'abandon '.repeat(11)}about`,
    'c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b2f001698e7463b04',
  ],
  [
    'legal winner thank year wave sausage worth useful legal winner thank yellow',
    '2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1c1069be3a3a5bd381ee6260e8d9739fce1f607',
  ],
  [
    `${'zoo '.repeat(23)}vote`,
    'dd48c104698c30cfe2b6142103248622fb7bb0ff692eebb00089b32d22484e1613912f0a5b694407be899ffd31ed3992c456cdf60f5d4564b8ba3f05a69890ad',
  ],
])('%s has the published seed', (phrase, seed) => {
  expect(seedOf(phrase, 'TREZOR')).toBe(seed);
});

it('reads what ethers writes, and comes to the same seed', () => {
  fc.assert(
    fc.property(entropy, fc.string({ unit: 'grapheme', maxLength: 20 }), (bytes, passphrase) => {
      const mnemonic = Mnemonic.fromEntropy(bytes, passphrase);
      expect(`0x${seedOf(mnemonic.phrase, passphrase)}`).toBe(mnemonic.computeSeed());
    }),
    { numRuns: 50 },
  );
});

it('takes the spaces, the line breaks and the case that people type', () => {
  const phrase = Mnemonic.fromEntropy(new Uint8Array(16).fill(7)).phrase;
  const typed = `\n  ${phrase.toUpperCase().replaceAll(' ', ' \n\t')}\r\n`;
  expect(readMnemonic(Buffer.from(typed)).toString()).toBe(phrase);
});

describe('a mnemonic that is none', () => {
  const words = Mnemonic.fromEntropy(new Uint8Array(16).fill(9)).phrase.split(' ');

  it('is told by the word that is in no list, and its place', () => {
    expect(() => readMnemonic(Buffer.from(words.with(4, 'abandn').join(' ')))).toThrow(
      refusal(/word 5 is not in the English list/),
    );
    expect(() => readMnemonic(Buffer.from('été '.repeat(12)))).toThrow(refusal(/in no English word/));
  });

  it.each([0, 1, 11, 13, 23, 25])('is told by its %i words', (count) => {
    const phrase = Array.from({ length: count }, () => 'abandon').join(' ');
    expect(() => readMnemonic(Buffer.from(phrase))).toThrow(refusal(new RegExp(`has ${count} words`)));
  });

  it('is not quoted: what is refused may be nearly right', () => {
    for (const phrase of [words.with(4, 'abandn'), words.toSpliced(0, 2, words[1]!, words[0]!)]) {
      const error = (() => {
        try {
          return String(readMnemonic(Buffer.from(phrase.join(' '))));
        } catch (thrown) {
          return thrown instanceof Error ? thrown.message : '';
        }
      })();
      expect(error).toMatch(/word \d+/);
      expect(phrase.filter((word) => word.length > 4 && error.includes(word))).toEqual([]);
    }
  });

  it('is told by its checksum', () => {
    const swapped = [words[1], words[0], ...words.slice(2)].join(' ');
    expect(() => readMnemonic(Buffer.from(swapped))).toThrow(refusal(/checksum .*word 12/));
  });

  it('is told by its checksum exactly where ethers does', () => {
    fc.assert(
      fc.property(entropy, fc.nat(), fc.nat(2047), (bytes, at, place) => {
        const given = Mnemonic.fromEntropy(bytes).phrase.split(' ');
        const phrase = given.with(at % given.length, ENGLISH_WORDS[place]!).join(' ');
        expect(isRead(phrase)).toBe(Mnemonic.isValidMnemonic(phrase));
      }),
    );
  });
});

it('knows the phrases that everybody knows', () => {
  const junk = 'test test test test test test test test test test test junk';
  expect(wellKnownMnemonic(readMnemonic(Buffer.from(junk)))).toBe('of anvil and hardhat');
  expect(HDNodeWallet.fromPhrase(junk).address).toBe('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266');
  expect(wellKnownMnemonic(readMnemonic(Buffer.from(`${'zoo '.repeat(11)}wrong`)))).toBeUndefined();
});

it('leaves the passphrase as it is', () => {
  const passphrase = Buffer.from('pass');
  mnemonicSeed(readMnemonic(Buffer.from(`${'zoo '.repeat(11)}wrong`)), passphrase);
  expect(passphrase.toString()).toBe('pass');
});
