import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Searches the memory of another process: every page that is in memory or in swap, whatever its protection, so
 * that it covers a core dump and what a core dump leaves out. (A core of Node has 9 GB, nearly all of it
 * address space that is reserved and never used.) Takes the permission that a debugger takes.
 */

const PAGE = 4096;
/** Of an entry of /proc/<pid>/pagemap (64 bits, proc_pid_pagemap(5)): present, and swapped. */
const PRESENT_OR_SWAPPED = 0xc0;

/** Copies by form. A whole copy is not counted again as its halves. */
export interface Found {
  readonly [secret: string]: { readonly [form: string]: number };
}

/** Counts the copies of each secret in each form. The process stands still meanwhile. */
export async function scan(pid: number, secrets: { readonly [name: string]: Buffer }): Promise<Found> {
  const memory = await readMemory(pid);
  const found = Object.entries(secrets).map(([name, secret]) => {
    const forms = Object.entries(formsOf(secret)).map(
      ([form, pattern]) => [form, count(memory, pattern)] as const,
    );
    const copies = Object.fromEntries(forms);
    const whole = copies['bytes'] ?? 0;
    for (const half of ['first half', 'second half']) copies[half] = (copies[half] ?? 0) - whole;
    return [name, copies] as const;
  });
  // It holds what the caller is to find nowhere.
  memory.fill(0);
  return Object.fromEntries(found);
}

/** What was found, one line a form. */
export function present(found: Found): string[] {
  return Object.entries(found).flatMap(([name, forms]) =>
    Object.entries(forms).flatMap(([form, copies]) => (copies > 0 ? [`${name}, ${form}: ${copies}`] : [])),
  );
}

/** Every form in which a copy of a secret may lie, and the two halves of it, for what is left of freed memory. */
function formsOf(secret: Buffer): { readonly [form: string]: Buffer } {
  const hex = secret.toString('hex');
  const decimal = BigInt(`0x${hex}`).toString();
  const half = secret.length / 2;
  return {
    bytes: secret,
    // A BigInt's digits lie so, too.
    'bytes reversed': Buffer.from(secret).reverse(),
    'first half': secret.subarray(0, half),
    'second half': secret.subarray(half),
    'hex, lower case': Buffer.from(hex),
    'hex, upper case': Buffer.from(hex.toUpperCase()),
    'hex in UTF-16, lower case': Buffer.from(hex, 'utf16le'),
    'hex in UTF-16, upper case': Buffer.from(hex.toUpperCase(), 'utf16le'),
    decimal: Buffer.from(decimal),
    'decimal in UTF-16': Buffer.from(decimal, 'utf16le'),
    base64: Buffer.from(secret.toString('base64').replaceAll('=', '')),
    base64url: Buffer.from(secret.toString('base64url')),
    'list of numbers': Buffer.from(secret.join(',')),
  };
}

function count(memory: Buffer, pattern: Buffer): number {
  let copies = 0;
  for (let at = memory.indexOf(pattern); at >= 0; at = memory.indexOf(pattern, at + 1)) copies += 1;
  return copies;
}

/** The pages of a process, one after the other in the order of their addresses. */
export async function readMemory(pid: number): Promise<Buffer> {
  process.kill(pid, 'SIGSTOP');
  try {
    while (!/^State:\s+[Tt]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) await sleep(1);
    const runs = residentRuns(pid);
    const memory = Buffer.alloc(runs.reduce((sum, { start, end }) => sum + end - start, 0));
    const mem = openSync(`/proc/${pid}/mem`, 'r');
    try {
      let offset = 0;
      for (const { start, end } of runs) {
        for (let at = start; at < end;) {
          const read = readSync(mem, memory, offset, end - at, at);
          at += read;
          offset += read;
        }
      }
    } finally {
      closeSync(mem);
    }
    return memory;
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

interface Run {
  readonly start: number;
  readonly end: number;
}

/** The stretches of address space that have memory behind them. */
function residentRuns(pid: number): Run[] {
  const runs: { start: number; end: number }[] = [];
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    for (const { start, end } of mappingsOf(pid)) {
      const entries = Buffer.alloc(((end - start) / PAGE) * 8);
      const read = readSync(pagemap, entries, 0, entries.length, (start / PAGE) * 8);
      for (let at = 0; at < read; at += 8) {
        if ((entries[at + 7]! & PRESENT_OR_SWAPPED) === 0) continue;
        const page = start + (at / 8) * PAGE;
        const last = runs.at(-1);
        if (last?.end === page) last.end += PAGE;
        else runs.push({ start: page, end: page + PAGE });
      }
    }
  } finally {
    closeSync(pagemap);
  }
  return runs;
}

function mappingsOf(pid: number): Run[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, start, end, name] = /^([0-9a-f]+)-([0-9a-f]+) (?:\S+ +){4}(.*)$/.exec(line) ?? [];
      // The kernel's own pages, which are not readable as memory and hold nothing of the process.
      if (start === undefined || end === undefined || /^\[v(?:var|syscall)/.test(name ?? '')) return [];
      return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16) }];
    });
}

/** Why the memory of another process of ours can't be read here; undefined when it can. */
export async function whyNotReadable(pid: number): Promise<string | undefined> {
  try {
    return (await readMemory(pid)).length > 0 ? undefined : 'it has no pages';
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown';
  }
}
