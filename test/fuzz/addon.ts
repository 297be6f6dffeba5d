import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/*
 * The fuzzer's native part comes built, against a newer C library (2.38) than that of Debian 12 (2.36). It needs three
 * symbols of it: `__isoc23_strtol` and `__isoc23_strtoul`, which differ from `strtol` and `strtoul` only in that they
 * read binary literals, and a marker of libstdc++ that is referred to and never called. Here they are pointed at what
 * every version has. Layouts: ELF-64, and "Symbol Versioning" of the Linux Standard Base.
 */

const DYNSYM = 11;
const VERNEED = 0x6ffffffe;
const VERSYM = 0x6fffffff;
const SYMBOL_BYTES = 24;
const MAY_BE_MISSING = 2;

const TOO_NEW = new Set(['GLIBC_2.38', 'GLIBCXX_3.4.32']);
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['__isoc23_strtol', 'strtol'],
  ['__isoc23_strtoul', 'strtoul'],
  ['_ZSt21ios_base_library_initv', 'getpid'],
]);
/** A symbol of the C library's first version, which the others have too. */
const OLD = 'getpid';

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** Where the built addon of this platform lies in an installed package. */
export function addonPath(from: string): string {
  const entry = createRequire(createRequire(from).resolve('@jazzer.js/core')).resolve('@jazzer.js/fuzzer');
  const name = `fuzzer-${process.platform}-${process.arch}.node`;
  return path.join(path.dirname(entry), '..', 'prebuilds', name);
}

/** Makes the addon load with an older C library, once; leaves it alone where it loads as it is. */
export function makeLoadable(file: string): void {
  try {
    process.dlopen({ exports: {} }, file);
    return;
  } catch (error) {
    if (!String(error).includes('GLIBC')) throw error;
  }
  const elf = readFileSync(file);
  relax(elf);
  writeFileSync(file, elf);
}

function relax(elf: Buffer): void {
  const sections = readSections(elf);
  const ofType = (type: number): Section => {
    const section = sections.find((each) => each.type === type);
    if (section === undefined) throw new Error(`the fuzzer's addon has no section of type ${type}`);
    return section;
  };
  const symbols = ofType(DYNSYM);
  const strings = sections[symbols.link]?.offset ?? 0;
  const text = (at: number): string => elf.toString('latin1', strings + at, elf.indexOf(0, strings + at));
  const versions = ofType(VERSYM).offset;

  const bySymbol = new Map<string, number>();
  for (let index = 0; index < symbols.size / SYMBOL_BYTES; index++) {
    bySymbol.set(text(elf.readUInt32LE(symbols.offset + index * SYMBOL_BYTES)), index);
  }
  const old = bySymbol.get(OLD);
  if (old === undefined) throw new Error(`the fuzzer's addon does not use ${OLD}`);
  const oldName = elf.readUInt32LE(symbols.offset + old * SYMBOL_BYTES);
  for (const [symbol, instead] of INSTEAD) {
    const index = bySymbol.get(symbol);
    if (index === undefined) continue;
    const at = symbols.offset + index * SYMBOL_BYTES;
    // The older name is the end of the newer one, or the old symbol's own.
    const name = elf.readUInt32LE(at) + symbol.length - instead.length;
    elf.writeUInt32LE(symbol.endsWith(instead) ? name : oldName, at);
    elf.writeUInt16LE(elf.readUInt16LE(versions + 2 * old), versions + 2 * index);
  }
  for (const at of neededVersions(elf, ofType(VERNEED).offset)) {
    if (TOO_NEW.has(text(elf.readUInt32LE(at + 8)))) elf.writeUInt16LE(MAY_BE_MISSING, at + 4);
  }
}

function readSections(elf: Buffer): Section[] {
  const start = Number(elf.readBigUInt64LE(0x28));
  const size = elf.readUInt16LE(0x3a);
  return Array.from({ length: elf.readUInt16LE(0x3c) }, (_, index) => {
    const at = start + index * size;
    return {
      type: elf.readUInt32LE(at + 4),
      offset: Number(elf.readBigUInt64LE(at + 0x18)),
      size: Number(elf.readBigUInt64LE(at + 0x20)),
      link: elf.readUInt32LE(at + 0x28),
    };
  });
}

/** Where each version stands that the addon needs of a library (`Vernaux`). */
function neededVersions(elf: Buffer, start: number): number[] {
  const places: number[] = [];
  for (let library = start, next = -1; next !== 0; library += next) {
    let at = library + elf.readUInt32LE(library + 8);
    for (let left = elf.readUInt16LE(library + 2); left > 0; left--) {
      places.push(at);
      at += elf.readUInt32LE(at + 12);
    }
    next = elf.readUInt32LE(library + 12);
  }
  return places;
}
