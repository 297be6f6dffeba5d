import { createHash, pbkdf2Sync } from 'node:crypto';
import { asBuffer, wipe } from '../bytes.ts';
import { CountersignError } from '../errors.ts';
import { ENGLISH_WORDS } from './bip39-english.ts';
import { allocSecret } from './envelope.ts';

/*
 * BIP-39, with the English words. The phrase stays in Buffers; single words are looked up as text, in a process that ends
 * right after (cli/key-import.ts).
 */

/** With 128, 160, 192, 224 and 256 bits of entropy. */
const WORD_COUNTS: ReadonlySet<number> = new Set([12, 15, 18, 21, 24]);
const BITS_A_WORD = 11;
const SEED_ROUNDS = 2048;
const SEED_BYTES = 64;

const PLACES: ReadonlyMap<string, number> = new Map(ENGLISH_WORDS.map((word, place) => [word, place]));

/** Phrases that anybody can look up: every account of theirs is public, on whatever path. */
const WELL_KNOWN: readonly (readonly [origin: string, phrase: string])[] = [
  ['of anvil and hardhat', 'test test test test test test test test test test test junk'],
  ['of ganache', 'myth like bonus scare over problem client lizard pioneer submit female collect'],
  ['of truffle', 'candy maple cake sugar pudding cream honey rich smooth crumble sweet treat'],
  ['of the BIP-39 test vectors', `${'abandon '.repeat(11)}about`],
  ['of the BIP-39 test vectors', `${'abandon '.repeat(23)}art`],
  [
    'of the BIP-39 test vectors',
    'legal winner thank year wave sausage worth useful legal winner thank yellow',
  ],
];

/**
 * The phrase with single spaces and in lower case, in memory of its own; the caller wipes it. Throws `invalid_request`
 * that names the place of a word that is not in the list, or says that the checksum does not fit; never a word: terminals
 * and build logs are kept.
 */
export function readMnemonic(text: Uint8Array): Buffer {
  const words = wordsOf(text);
  if (!WORD_COUNTS.has(words.length)) {
    throw invalid(`has ${words.length} words; a mnemonic has 12, 15, 18, 21 or 24`);
  }
  const places = words.map((word, index) => {
    const place = PLACES.get(word);
    if (place === undefined) {
      throw invalid(`word ${index + 1} is not in the English list of BIP-39`);
    }
    return place;
  });
  if (!checksumFits(places)) {
    throw invalid(
      `the checksum does not fit: a word is another one or two have changed places, up to word ${words.length}, which carries it`,
    );
  }
  const phrase = allocSecret(words.reduce((sum, { length }) => sum + length + 1, -1));
  let offset = 0;
  for (const word of words) {
    if (offset > 0) offset = phrase.writeUInt8(0x20, offset);
    offset += phrase.write(word, offset, 'latin1');
  }
  return phrase;
}

/** Where this phrase (as `readMnemonic` gives it) is published, if that is known here. */
export function wellKnownMnemonic(phrase: Uint8Array): string | undefined {
  return WELL_KNOWN.find(([, known]) => asBuffer(phrase).equals(Buffer.from(known)))?.[0];
}

/**
 * The seed of 64 bytes, in memory of its own; the caller wipes it.
 * @param phrase as `readMnemonic` gives it
 * @param passphrase UTF-8; empty for none
 */
export function mnemonicSeed(phrase: Uint8Array, passphrase: Uint8Array): Buffer {
  const normal = toNfkd(passphrase);
  const salt = Buffer.concat([Buffer.from('mnemonic'), normal]);
  try {
    return pbkdf2Sync(phrase, salt, SEED_ROUNDS, SEED_BYTES, 'sha512');
  } finally {
    wipe(normal, salt);
  }
}

function wordsOf(text: Uint8Array): string[] {
  const ascii = allocSecret(text.length);
  try {
    for (const [index, byte] of text.entries()) {
      if (byte >= 0x80) throw invalid('has letters that are in no English word');
      ascii[index] = byte;
    }
    return ascii
      .toString('latin1')
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== '');
  } finally {
    wipe(ascii);
  }
}

/** The last bits, one for every 32 of the entropy, are the first of its SHA-256. */
function checksumFits(places: readonly number[]): boolean {
  const bits = places.length * BITS_A_WORD;
  const checksumBits = bits / 33;
  const packed = allocSecret(Math.ceil(bits / 8));
  try {
    for (let bit = 0; bit < bits; bit++) {
      const place = places[Math.floor(bit / BITS_A_WORD)] ?? 0;
      const value = (place >>> (BITS_A_WORD - 1 - (bit % BITS_A_WORD))) & 1;
      packed[bit >>> 3] = (packed[bit >>> 3] ?? 0) | (value << (7 - (bit & 7)));
    }
    const entropyBytes = (bits - checksumBits) / 8;
    const sum = createHash('sha256').update(packed.subarray(0, entropyBytes)).digest();
    const shift = 8 - checksumBits;
    return (sum[0] ?? 0) >>> shift === (packed[entropyBytes] ?? 0) >>> shift;
  } finally {
    wipe(packed);
  }
}

/** Text of ASCII is its own NFKD; any other has to be a string for a moment. */
function toNfkd(passphrase: Uint8Array): Buffer {
  const copy = allocSecret(passphrase.length);
  copy.set(passphrase);
  return copy.every((byte) => byte < 0x80) ? copy : Buffer.from(copy.toString('utf8').normalize('NFKD'));
}

function invalid(what: string): CountersignError {
  return new CountersignError('invalid_request', `the mnemonic ${what}`);
}
