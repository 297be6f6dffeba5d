import { isUtf8 } from 'node:buffer';
import { escapeLength, isDigit, isInNumber } from './json-bytes.ts';

// Here and not with the rest, because what is imported is loaded anew for every byte.
const PLAIN = 0;
const ESCAPE = 1;
const MULTIBYTE = 2;
const QUOTE = 3;
const CONTROL = 4;
/** What each byte is inside a string. */
const CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte === 0x22) return QUOTE;
  if (byte === 0x5c) return ESCAPE;
  if (byte < 0x20) return CONTROL;
  return byte < 0x80 ? PLAIN : MULTIBYTE;
});

/**
 * What one pass over an entry's bytes tells without building anything. Positions are offsets into the bytes; -1
 * where the entry has no such member, or one of another type.
 */
export interface Outline {
  /** Whether `v` is 1. */
  readonly versionOne: boolean;
  readonly index: number;
  readonly epoch: number;
  /** The first of the 24 bytes of `time`. */
  readonly timeAt: number;
  /** Whether `kind` and `outcome` are strings. */
  readonly named: boolean;
  /** `sign` with the outcome `done`, or anything with a signature. */
  readonly signed: boolean;
  /** `audit.key_rotated` */
  readonly rotation: boolean;
  /** A member of some name that has to be looked into: `dataHash` or `limits`, at any depth. */
  readonly detailed: boolean;
}

/** As deep as `canonicalize` goes. */
const MAX_DEPTH = 128;

const TIME_LENGTH = 24;
/** Longer integers may not be exact, and go the long way. */
const SAFE_DIGITS = 15;

const NAMES = {
  index: Buffer.from('index'),
  kind: Buffer.from('kind'),
  outcome: Buffer.from('outcome'),
  service: Buffer.from('service'),
  signature: Buffer.from('signature'),
  time: Buffer.from('time'),
  epoch: Buffer.from('epoch'),
  dataHash: Buffer.from('dataHash'),
  limits: Buffer.from('limits'),
  sign: Buffer.from('sign'),
  done: Buffer.from('done'),
  rotation: Buffer.from('audit.key_rotated'),
};

type Place = 'entry' | 'service' | 'elsewhere';

/**
 * The outline of an entry whose bytes are one JSON object in the canonical form of RFC 8785; undefined for any other
 * bytes. Agrees with `canonicalize`: whatever that writes is taken, and nothing else.
 */
export function scanEntry(bytes: Uint8Array): Outline | undefined {
  const scan = new Scan(bytes);
  return scan.whole() ? scan : undefined;
}

/** One pass, left to right. A method returns whether what is at `#at` is canonical, and moves behind it. */
class Scan implements Outline {
  versionOne = false;
  index = -1;
  epoch = -1;
  timeAt = -1;
  rotation = false;
  detailed = false;
  #kind = false;
  #outcome = false;
  #sign = false;
  #done = false;
  #signature = false;
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Of the last string: whether its bytes are its characters. */
  #plain = true;
  #ascii = true;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get named(): boolean {
    return this.#kind && this.#outcome;
  }

  get signed(): boolean {
    return this.#signature || (this.#sign && this.#done);
  }

  whole(): boolean {
    const bytes = this.#bytes;
    if (bytes[0] !== 0x7b || !this.#object(0, 'entry') || this.#at !== bytes.length) return false;
    return this.#ascii || isUtf8(bytes);
  }

  #value(depth: number, place: Place): boolean {
    switch (this.#bytes[this.#at] ?? 0) {
      case 0x22:
        return this.#string();
      case 0x7b:
        return this.#object(depth, place);
      case 0x5b:
        return this.#array(depth);
      case 0x74:
        return this.#word(0x72, 0x75, 0x65);
      case 0x66:
        return this.#bytes[this.#at + 1] === 0x61 && (this.#at++, this.#word(0x6c, 0x73, 0x65));
      case 0x6e:
        return this.#word(0x75, 0x6c, 0x6c);
      default:
        return this.#number();
    }
  }

  #object(depth: number, place: Place): boolean {
    const bytes = this.#bytes;
    if (depth === MAX_DEPTH) return false;
    if (bytes[++this.#at] === 0x7d) return (this.#at++, true);
    let last = -1;
    let lastEnd = -1;
    let lastPlain = true;
    for (;;) {
      if (bytes[this.#at] !== 0x22) return false;
      const start = this.#at + 1;
      if (!this.#string()) return false;
      const end = this.#at - 1;
      const plain = this.#plain;
      if (last !== -1) {
        const inOrder =
          lastPlain && plain
            ? this.#before(last, lastEnd, start, end)
            : this.#unescapedBefore(last, lastEnd, start, end);
        if (!inOrder) return false;
      }
      if (bytes[this.#at++] !== 0x3a) return false;
      if (!this.#member(start, end, depth + 1, place)) return false;
      const next = bytes[this.#at++];
      if (next === 0x7d) return true;
      if (next !== 0x2c) return false;
      last = start;
      lastEnd = end;
      lastPlain = plain;
    }
  }

  /** The value of a member, whose name is at [start, end). */
  #member(start: number, end: number, depth: number, place: Place): boolean {
    const at = this.#at;
    const length = end - start;
    if (length === 8 && this.#is(start, end, NAMES.dataHash)) this.detailed = true;
    if (length === 6 && this.#is(start, end, NAMES.limits)) this.detailed = true;
    if (place === 'elsewhere') return this.#value(depth, 'elsewhere');
    if (place === 'service') {
      if (!this.#value(depth, 'elsewhere')) return false;
      if (length === 5 && this.#is(start, end, NAMES.epoch)) this.epoch = this.#integer(at, this.#at);
      return true;
    }
    const service = length === 7 && this.#is(start, end, NAMES.service);
    if (!this.#value(depth, service ? 'service' : 'elsewhere')) return false;
    if (!service) this.#note(start, end, at, this.#at);
    return true;
  }

  /** Keeps of a member of the entry what the outline says. Its name is at [start, end), its value at [from, to). */
  #note(start: number, end: number, from: number, to: number): void {
    const bytes = this.#bytes;
    const isString = bytes[from] === 0x22;
    switch (end - start) {
      case 1:
        if (bytes[start] === 0x76) this.versionOne = to - from === 1 && bytes[from] === 0x31;
        break;
      case 4:
        if (this.#is(start, end, NAMES.time))
          this.timeAt = isString && to - from === TIME_LENGTH + 2 ? from + 1 : -1;
        else if (this.#is(start, end, NAMES.kind)) {
          this.#kind = isString;
          this.#sign = this.#is(from + 1, to - 1, NAMES.sign);
          this.rotation = this.#is(from + 1, to - 1, NAMES.rotation);
        }
        break;
      case 5:
        if (this.#is(start, end, NAMES.index)) this.index = this.#integer(from, to);
        break;
      case 7:
        if (this.#is(start, end, NAMES.outcome)) {
          this.#outcome = isString;
          this.#done = this.#is(from + 1, to - 1, NAMES.done);
        }
        break;
      case 9:
        if (this.#is(start, end, NAMES.signature)) this.#signature = true;
        break;
    }
  }

  #array(depth: number): boolean {
    const bytes = this.#bytes;
    if (depth === MAX_DEPTH) return false;
    if (bytes[++this.#at] === 0x5d) return (this.#at++, true);
    for (;;) {
      if (!this.#value(depth + 1, 'elsewhere')) return false;
      const next = bytes[this.#at++];
      if (next === 0x5d) return true;
      if (next !== 0x2c) return false;
    }
  }

  #string(): boolean {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    let kind = CLASS[bytes[at++] as number];
    while (kind === PLAIN) kind = CLASS[bytes[at++] as number];
    // Nearly all strings end here, so that this is the way that has to be quick.
    this.#plain = kind === QUOTE;
    while (kind !== QUOTE) {
      if (kind === MULTIBYTE) this.#ascii = false;
      else if (kind === ESCAPE) {
        const length = escapeLength(bytes, at);
        if (length === 0) return false;
        at += length;
      }
      // A control character, or the end of the bytes.
      else return false;
      do kind = CLASS[bytes[at++] as number];
      while (kind === PLAIN);
    }
    this.#at = at;
    return true;
  }

  /** Numbers as ECMAScript prints them (RFC 8785 3.2.2.3). */
  #number(): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    while (isDigit(bytes[at])) at++;
    const next = bytes[at];
    const isInteger = next !== 0x2e && next !== 0x65 && next !== 0x2d && next !== 0x2b && next !== 0x45;
    if (isInteger && at > start && at - start <= SAFE_DIGITS) {
      this.#at = at;
      return bytes[start] !== 0x30 || at - start === 1;
    }
    while (isInNumber(bytes[at])) at++;
    this.#at = at;
    const text = this.#text(start, at);
    return Number.isFinite(Number(text)) && String(Number(text)) === text;
  }

  #word(a: number, b: number, c: number): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at = at + 4;
    return bytes[at + 1] === a && bytes[at + 2] === b && bytes[at + 3] === c;
  }

  /** The integer at [from, to), -1 for anything else. */
  #integer(from: number, to: number): number {
    if (to - from > SAFE_DIGITS) return -1;
    let value = 0;
    for (let at = from; at < to; at++) {
      const byte = this.#bytes[at];
      if (!isDigit(byte)) return -1;
      value = value * 10 + ((byte as number) - 0x30);
    }
    return value;
  }

  #is(start: number, end: number, name: Uint8Array): boolean {
    if (end - start !== name.length) return false;
    for (let i = 0; i < name.length; i++) if (this.#bytes[start + i] !== name[i]) return false;
    return true;
  }

  /** Whether one ASCII name comes before another. */
  #before(start: number, end: number, other: number, otherEnd: number): boolean {
    const bytes = this.#bytes;
    const shared = Math.min(end - start, otherEnd - other);
    for (let i = 0; i < shared; i++) {
      const difference = (bytes[start + i] as number) - (bytes[other + i] as number);
      if (difference !== 0) return difference < 0;
    }
    return end - start < otherEnd - other;
  }

  /** The same for names with escapes or other characters, whose order is that of their UTF-16 code units. */
  #unescapedBefore(start: number, end: number, other: number, otherEnd: number): boolean {
    const name = JSON.parse(this.#text(start - 1, end + 1)) as string;
    return name < (JSON.parse(this.#text(other - 1, otherEnd + 1)) as string);
  }

  #text(start: number, end: number): string {
    const { buffer, byteOffset } = this.#bytes;
    return Buffer.from(buffer, byteOffset + start, end - start).toString('utf8');
  }
}
