import { fromHex, toHex, type Hex } from '../bytes.ts';
import type { Key, KeyVersion } from '../keystore/keys.ts';

const ADDRESS_BYTES = 20;
const PUBLIC_KEY_BYTES = 65;
const VERSION_BYTES = ADDRESS_BYTES + PUBLIC_KEY_BYTES;

/**
 * A key as one string of a byte a character, a quarter of what its objects take: how many versions have address and
 * public key as bytes, these, then the rest as JSON in UTF-8, most of it without the names of members. Where they are no
 * hex of that length, they stay in the JSON.
 */
export type PackedKey = string;

type Fields = readonly [
  ...[id: string, name: string, tags: readonly string[], createdAt: string, primary: number],
  ...[exportable: boolean, canary: boolean, more: Pick<Key, 'rotation'>, versions: readonly VersionFields[]],
];
type VersionFields = readonly [
  ...[version: number, origin: KeyVersion['origin'], createdAt: string],
  more: Omit<KeyVersion, 'version' | 'origin' | 'createdAt' | 'address' | 'publicKey'> & Partial<Points>,
];
type Points = Pick<KeyVersion, 'address' | 'publicKey'>;

export function packKey(key: Key): PackedKey {
  const plain = key.versions.every(isPlain) && key.versions.length <= 255 ? key.versions : [];
  const { id, name, tags, createdAt, primary, exportable, canary, versions, ...more } = key;
  const rest = versions.map((each): VersionFields => {
    const { version, origin, createdAt: made, address, publicKey, ...others } = each;
    const points = plain.length === 0 ? { address, publicKey } : {};
    return [version, origin, made, { ...others, ...points }];
  });
  return packed(plain, [id, name, tags, createdAt, primary, exportable, canary, more, rest]);
}

/** Equal to the key that was packed, but for properties that were undefined. */
export function unpackKey(text: PackedKey): Key {
  const bytes = Buffer.from(text, 'latin1');
  const plain = bytes[0] ?? 0;
  const json = bytes.toString('utf8', 1 + plain * VERSION_BYTES);
  const [id, name, tags, createdAt, primary, exportable, canary, more, rest] = JSON.parse(json) as Fields;
  const versions = rest.map(([version, origin, made, others], i) => {
    const points = plain === 0 ? undefined : pointsAt(bytes, 1 + i * VERSION_BYTES);
    return Object.assign(others, points, { version, origin, createdAt: made }) as KeyVersion;
  });
  return { id, name, tags, createdAt, primary, exportable, canary, ...more, versions };
}

function pointsAt(bytes: Buffer, at: number): Points {
  const middle = at + ADDRESS_BYTES;
  return {
    address: `0x${bytes.toString('hex', at, middle)}`,
    publicKey: `0x${bytes.toString('hex', middle, at + VERSION_BYTES)}`,
  };
}

/** False only where the key has this nowhere in its JSON, so that most need not be unpacked. `value` is of ASCII. */
export function mayHave(text: PackedKey, value: string): boolean {
  return text.includes(JSON.stringify(value));
}

function packed(plain: readonly KeyVersion[], rest: Fields): PackedKey {
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
