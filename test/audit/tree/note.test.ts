import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CountersignError } from '../../../src/errors.ts';
import {
  formatNote,
  formatVkey,
  isKeyName,
  noteSignature,
  parseNote,
  parseVkey,
  verifyNote,
  type Signature,
} from '../../../src/audit/tree/note.ts';

/** From the documentation of golang.org/x/mod/sumdb/note. */
const NEUMANN_VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const NEUMANN_NOTE =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n\n" +
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';

/** From https://c2sp.org/signed-note; its text holds an empty line. */
const QUASIMODO_NOTE =
  'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n' +
  '— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';

interface Signer {
  readonly vkey: string;
  sign(text: string): Signature;
}

function signer(name: string): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  return {
    vkey: formatVkey(name, raw),
    sign: (text) => noteSignature(name, raw, sign(null, Buffer.from(text), privateKey)),
  };
}

const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }).filter(isKeyName);
const lines = fc.string({ unit: 'grapheme', maxLength: 40 }).map((line) => line.replaceAll(/\p{Cc}/gu, ''));
const texts = fc.array(lines, { minLength: 1, maxLength: 6 }).map((all) => `${all.join('\n')}\n`);
const signatures: fc.Arbitrary<Signature> = fc.record({
  name: names,
  keyHash: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  signature: fc.uint8Array({ minLength: 1, maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
});

describe('published notes', () => {
  it('verifies', () => {
    expect(verifyNote(parseNote(NEUMANN_NOTE), NEUMANN_VKEY)).toBe(true);
    expect(verifyNote(parseNote(NEUMANN_NOTE.replace('answer', 'ANSWER')), NEUMANN_VKEY)).toBe(false);
  });

  it('parses a text with an empty line', () => {
    const note = parseNote(Buffer.from(QUASIMODO_NOTE));
    expect(note.text.split('\n')).toHaveLength(5);
    expect(note.signatures).toHaveLength(1);
    expect(note.signatures[0]!.name).toBe('quasimodo.example/salvatore');
    expect(note.signatures[0]!.signature).toHaveLength(64);
    expect(formatNote(note.text, note.signatures)).toBe(QUASIMODO_NOTE);
  });
});

describe('verifier keys', () => {
  it('has the published form', () => {
    const key = parseVkey(NEUMANN_VKEY);
    expect(key.name).toBe('PeterNeumann');
    expect(formatVkey(key.name, key.publicKey)).toBe(NEUMANN_VKEY);
    const hash = createHash('sha256')
      .update('PeterNeumann\n')
      .update(Buffer.of(1))
      .update(key.publicKey)
      .digest();
    expect(key.keyHash).toEqual(hash.subarray(0, 4));
  });

  it('parses what it formats', () => {
    fc.assert(
      fc.property(names, fc.uint8Array({ minLength: 32, maxLength: 32 }), (name, publicKey) => {
        const key = parseVkey(formatVkey(name, publicKey));
        expect(key.name).toBe(name);
        expect(key.publicKey).toEqual(Buffer.from(publicKey));
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['two parts', 'PeterNeumann+c74f20a3'],
    ['another name', NEUMANN_VKEY.replace('Peter', 'Paul')],
    ['another hash', NEUMANN_VKEY.replace('c74f20a3', 'c74f20a4')],
    ['upper-case hash', NEUMANN_VKEY.replace('c74f20a3', 'C74F20A3')],
    ['another key', NEUMANN_VKEY.replace('ARpc', 'ARpd')],
    ['another algorithm', NEUMANN_VKEY.replace('+ARpc', '+BBpc')],
    ['a short key', NEUMANN_VKEY.slice(0, -4)],
    ['bits after the key', `${NEUMANN_VKEY}AAAA`],
    ['a trailing newline', `${NEUMANN_VKEY}\n`],
    ['no name', NEUMANN_VKEY.replace('PeterNeumann', '')],
    ['a space in the name', NEUMANN_VKEY.replace('Peter', 'Peter ')],
    ['a very long one', `${'x'.repeat(2_000)}${NEUMANN_VKEY}`],
  ])('refuses %s', (_name, vkey) => {
    expect(() => parseVkey(vkey)).toThrow(CountersignError);
  });

  it.each(['', ' ', 'a b', 'a+b', 'a\tb', 'a\u00a0b', 'a\u2003b', 'a\u0085b', 'a\nb', 'a\u0000', '\ud800'])(
    'refuses the name %j',
    (name) => {
      expect(isKeyName(name)).toBe(false);
      expect(() => formatVkey(name, new Uint8Array(32))).toThrow(CountersignError);
    },
  );

  it('refuses keys and signatures of another length', () => {
    expect(() => formatVkey('a', new Uint8Array(31))).toThrow(CountersignError);
    expect(() => noteSignature('a', new Uint8Array(33), new Uint8Array(64))).toThrow(CountersignError);
    expect(() => noteSignature('a', new Uint8Array(32), new Uint8Array(63))).toThrow(CountersignError);
  });
});

describe('format and parse', () => {
  it('are inverse', () => {
    fc.assert(
      fc.property(texts, fc.array(signatures, { minLength: 1, maxLength: 20 }), (text, sigs) => {
        const note = formatNote(text, sigs);
        expect(parseNote(note)).toEqual({ text, signatures: sigs });
        expect(parseNote(Buffer.from(note))).toEqual({ text, signatures: sigs });
      }),
    );
  });

  it('refuse or keep every edit of one byte, and never verify it', () => {
    const original = Buffer.from(NEUMANN_NOTE);
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const edited = Buffer.from(original);
        edited[at] = edited[at]! ^ mask;
        expect(parsedAgain(edited)).toBe(true);
        expect(verifies(edited)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  const good = NEUMANN_NOTE;
  const [text, line] = [good.slice(0, good.indexOf('\n\n') + 1), good.slice(good.indexOf('—'))];
  it.each([
    ['empty', ''],
    ['no signatures', `${text}\n`],
    ['no empty line', `${text}${line}`],
    ['no newline at the end', good.slice(0, -1)],
    ['an empty line at the end', `${good}\n`],
    ['text after the signatures', `${good}more\n`],
    ['a carriage return', good.replace('problem,', 'problem,\r')],
    ['a tab', good.replace('problem,', '\t')],
    ['a zero byte', good.replace('problem,', '\0')],
    ['a lone surrogate', good.replace('problem,', '\ud800')],
    ['another dash', good.replace('—', '–')],
    ['two spaces', good.replace('PeterNeumann ', 'PeterNeumann  ')],
    ['a space at the end', good.replace('=\n', '= \n')],
    ['a missing name', good.replace('PeterNeumann ', '')],
    ['a plus in the name', good.replace('PeterNeumann', 'Peter+Neumann')],
    ['a non-breaking space in the name', good.replace('PeterNeumann', 'Peter\u00a0Neumann')],
    ['base64 without padding', good.replace('=\n', '\n')],
    ['base64 with stray bits', good.replace('nAM=', 'nAN=')],
    ['URL-safe base64', good.replace('go/Z', 'go_Z')],
    ['a key hash without signature', `${text}\n— PeterNeumann x08gow==\n`],
    ['a short key hash', `${text}\n— PeterNeumann x08g\n`],
    ['too many signatures', `${text}\n${line.repeat(101)}`],
    ['a note over the limit', `${'x'.repeat(1_000_000)}\n\n${line}`],
  ])('refuses %s', (_name, note) => {
    expect(() => parseNote(note)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it('refuses bytes that are not UTF-8', () => {
    expect(() => parseNote(Buffer.from(good, 'utf16le'))).toThrow(CountersignError);
    expect(() => parseNote(Buffer.concat([Buffer.of(0xff), Buffer.from(good)]))).toThrow(CountersignError);
  });

  it('takes 100 signatures', () => {
    expect(parseNote(`${text}\n${line.repeat(100)}`).signatures).toHaveLength(100);
  });

  it.each([
    ['a text without newline', 'text', 1],
    ['an empty text', '', 1],
    ['control characters', 'a\tb\n', 1],
    ['no signatures', 'text\n', 0],
  ])('does not write %s', (_name, body, count) => {
    const { signatures: sigs } = parseNote(good);
    expect(() => formatNote(body, sigs.slice(0, count))).toThrow(CountersignError);
  });
});

describe('verifyNote', () => {
  const body = 'hello\nworld\n';
  const [log, witness, other] = [signer('example.com/log'), signer('witness'), signer('example.com/log')];

  it('needs a signature of the key, and ignores the others', () => {
    const note = parseNote(formatNote(body, [witness.sign(body), log.sign(body)]));
    expect(verifyNote(note, log.vkey)).toBe(true);
    expect(verifyNote(note, witness.vkey)).toBe(true);
    expect(verifyNote(note, other.vkey)).toBe(false);
    expect(verifyNote(parseNote(formatNote(body, [witness.sign(body)])), log.vkey)).toBe(false);
  });

  it('refuses a signature over another text', () => {
    expect(verifyNote(parseNote(formatNote(body, [log.sign('hello\n')])), log.vkey)).toBe(false);
  });

  it('refuses a signature under a key hash that is not its own', () => {
    const forged = { ...other.sign(body), keyHash: parseVkey(log.vkey).keyHash };
    expect(verifyNote({ text: body, signatures: [forged] }, log.vkey)).toBe(false);
    // One bad signature of a known key spoils the note.
    expect(verifyNote({ text: body, signatures: [log.sign(body), forged] }, log.vkey)).toBe(false);
  });

  it('refuses a signature of another length', () => {
    const sig = log.sign(body);
    const long = { ...sig, signature: Buffer.concat([sig.signature, Buffer.of(0)]) };
    expect(verifyNote({ text: body, signatures: [long] }, log.vkey)).toBe(false);
  });

  it('throws at a malformed vkey', () => {
    expect(() => verifyNote(parseNote(NEUMANN_NOTE), 'x')).toThrow(CountersignError);
  });
});

/** Refused, or formatted again to the same bytes. */
function parsedAgain(bytes: Buffer): boolean {
  try {
    const note = parseNote(bytes);
    return Buffer.from(formatNote(note.text, note.signatures)).equals(bytes);
  } catch (error) {
    return error instanceof CountersignError;
  }
}

function verifies(bytes: Buffer): boolean {
  try {
    return verifyNote(parseNote(bytes), NEUMANN_VKEY);
  } catch {
    return false;
  }
}
