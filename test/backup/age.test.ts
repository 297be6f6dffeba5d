import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decrypt,
  encrypt,
  fingerprintOf,
  requireRecipients,
  type Lock,
  type Unlock,
} from '../../src/backup/age.ts';

const PLAIN = Buffer.alloc(200_000, 'countersign');
let identity: string;
let other: string;
let recipients: string[];

beforeAll(async () => {
  [identity, other] = await Promise.all([generateX25519Identity(), generateX25519Identity()]);
  recipients = await Promise.all([identityToRecipient(identity), identityToRecipient(other)]);
});

async function* pieces(bytes: Uint8Array, length = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function join(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of source) all.push(piece);
  return Buffer.concat(all);
}

const lockedWith = async (lock: Lock): Promise<Buffer> => {
  const { size, pieces: encrypted } = await encrypt(lock, pieces(PLAIN), PLAIN.length);
  const file = await join(encrypted);
  expect(file).toHaveLength(size);
  return file;
};
const opened = async (unlock: Unlock, file: Buffer): Promise<Buffer> =>
  await join((await decrypt(unlock, pieces(file))).pieces);

describe('a file for recipients', () => {
  it('opens with the identity of each of them, and says how much it holds', async () => {
    const file = await lockedWith({ recipients });
    for (const each of [identity, other]) {
      const decrypted = await decrypt({ identities: [each] }, pieces(file));
      expect(decrypted.plainSize(file.length)).toBe(PLAIN.length);
      expect(decrypted.plainSize(10)).toBeUndefined();
      expect((await join(decrypted.pieces)).equals(PLAIN)).toBe(true);
    }
  });

  it('does not open with another identity, nor with a passphrase', async () => {
    const file = await lockedWith({ recipients: recipients.slice(0, 1) });
    const wrong = opened({ identities: [other] }, file);
    await expect(wrong).rejects.toMatchObject({
      code: 'wrong_password',
      message: expect.stringContaining('other recipients'),
    });
    await expect(opened({ passphrase: 'a passphrase' }, file)).rejects.toMatchObject({
      code: 'wrong_password',
      message: expect.stringContaining('--identity'),
    });
  });

  it('that lacks its end or has more is refused when that is reached', async () => {
    const file = await lockedWith({ recipients });
    for (const bad of [
      file.subarray(0, -1),
      file.subarray(0, -60_000),
      Buffer.concat([file, file.subarray(-50)]),
    ])
      await expect(opened({ identities: [identity] }, bad)).rejects.toMatchObject({ code: 'unprocessable' });
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'is empty'],
    ['armor', Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n'), 'armored'],
    ['something else', Buffer.from('SQLite format 3\0'), 'not in the age format'],
    ['a header without end', Buffer.from('age-encryption.org/v1\n-> X25519 abc\n'), 'broken'],
  ])('that is %s is refused', async (_, file, message) => {
    await expect(opened({ identities: [identity] }, file)).rejects.toMatchObject({
      code: 'unprocessable',
      message: expect.stringContaining(message),
    });
  });

  it('is for at least one recipient that is one', () => {
    expect(() => requireRecipients([])).toThrow('at least one recipient');
    expect(() => requireRecipients(Array.from({ length: 33 }, () => recipients[0]!))).toThrow('at most 32');
    expect(() => requireRecipients([recipients[0]!, `${recipients[1]!.slice(0, -1)}!`])).toThrow(
      'recipient 2',
    );
    expect(fingerprintOf(recipients[0]!)).toMatch(/^[0-9a-f]{32}$/);
  });

  it('a malformed identity is refused, and not repeated', async () => {
    const file = await lockedWith({ recipients });
    const bad = `${identity.slice(0, -1)}${identity.endsWith('Q') ? 'P' : 'Q'}`;
    const error: unknown = await opened({ identities: [bad] }, file).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'invalid_request' });
    expect(String(error)).not.toContain(bad.slice(20, 40));
  });
});

it('a file with a passphrase opens with it alone', async () => {
  const file = await lockedWith({ passphrase: 'correct horse battery staple' });
  expect((await opened({ passphrase: 'correct horse battery staple' }, file)).equals(PLAIN)).toBe(true);
  await expect(opened({ passphrase: 'wrong horse' }, file)).rejects.toMatchObject({
    message: expect.stringContaining('passphrase is wrong'),
  });
});
