import { fromHex, toHex, type Hex } from '../bytes.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';

const ADDRESS_BYTES = 20;
const PUBLIC_KEY_BYTES = 65;
const VERSION_BYTES = ADDRESS_BYTES + PUBLIC_KEY_BYTES;

/**
 * A key as one string of a byte a character, a third of what its objects take: how many versions have address and public
 * key as bytes, these, then the rest as JSON in UTF-8. Where they are no hex of that length, they stay in the JSON.
 */
export type PackedKey = string;

export function packKey(key: Key): PackedKey {
  if (!key.versions.every(isPlain) || key.versions.length > 255) return packed([], key);
  // What is undefined is not in JSON.
  const versions = key.versions.map((version) => ({ ...version, address: undefined, publicKey: undefined }));
  return packed(key.versions, { ...key, versions });
}

type Rest = Omit<KeyVersion, 'address' | 'publicKey'>;

/** Equal to the key that was packed, but for properties that were undefined. */
export function unpackKey(text: PackedKey): Key {
  const bytes = Buffer.from(text, 'latin1');
  const plain = bytes[0] ?? 0;
  const json = bytes.toString('utf8', 1 + plain * VERSION_BYTES);
  if (plain === 0) return JSON.parse(json) as Key;
  const key = JSON.parse(json) as Omit<Key, 'versions'> & { readonly versions: readonly Rest[] };
  const versions = key.versions.map(({ version, ...rest }, i): KeyVersion => {
    const at = 1 + i * VERSION_BYTES;
    const middle = at + ADDRESS_BYTES;
    const address: Hex = `0x${bytes.toString('hex', at, middle)}`;
    const publicKey: Hex = `0x${bytes.toString('hex', middle, at + VERSION_BYTES)}`;
    return { version, address, publicKey, ...rest };
  });
  return { ...key, versions };
}

/** False only where the key has this nowhere in its JSON, so that most need not be unpacked. `value` is of ASCII. */
export function mayHave(text: PackedKey, value: string): boolean {
  return text.includes(JSON.stringify(value));
}

function packed(plain: readonly KeyVersion[], rest: object): PackedKey {
  const parts = plain.flatMap(({ address, publicKey }) => [fromHex(address), fromHex(publicKey)]);
  const json = Buffer.from(JSON.stringify(rest));
  // Decoded at once: a string that was put together would keep its parts.
  return Buffer.concat([Buffer.of(plain.length), ...parts, json]).toString('latin1');
}

function isPlain({ address, publicKey }: KeyVersion): boolean {
  return isHexOf(address, ADDRESS_BYTES) && isHexOf(publicKey, PUBLIC_KEY_BYTES);
}

function isHexOf(hex: Hex, length: number): boolean {
  const bytes = fromHex(hex);
  return bytes.length === length && toHex(bytes) === hex;
}
