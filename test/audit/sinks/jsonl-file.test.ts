import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JsonlFile } from '../../../src/audit/sinks/jsonl-file.ts';
import { batchOf, fedLog, indexesOf, isComplete, readAll, until, type FedLog } from './fed-log.ts';

let fed: FedLog;
let file: string;

beforeEach(() => {
  fed = fedLog();
  file = path.join(fed.folder, 'audit.jsonl');
});

afterEach(() => {
  fed.storage.close();
  fed.remove();
});

function linesOf(name = file): string[] {
  const text = readFileSync(name, 'utf8');
  if (text === '') return [];
  expect(text.endsWith('\n')).toBe(true);
  return text.slice(0, -1).split('\n');
}

describe('a file', () => {
  it('is made for its owner alone, and holds each entry as it was hashed', async () => {
    await fed.append(3);
    const sink = new JsonlFile(file);
    await sink.deliver(batchOf(readAll(fed)));
    await sink.close();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(indexesOf(linesOf())).toEqual([0, 1, 2]);
  });

  it('goes on in a file that was renamed away until it is done, and then in a new one', async () => {
    await fed.append(4);
    const [a, b, c, d] = readAll(fed).map((read) => batchOf([read]));
    const sink = new JsonlFile(file);
    await sink.deliver(a!);
    renameSync(file, `${file}.1`);
    await sink.deliver(b!);
    sink.reload();
    await sink.deliver(c!);
    rmSync(file);
    await sink.deliver(d!);
    await sink.close();
    expect(indexesOf(linesOf(`${file}.1`))).toEqual([0]);
    expect(indexesOf(linesOf())).toEqual([3]);
  });

  it.each([1, 5, 40, 200])('cuts off the %i bytes that a crash left of a line', async (left) => {
    await fed.append(3);
    const all = readAll(fed);
    const sink = new JsonlFile(file);
    await sink.deliver(batchOf(all.slice(0, 2)));
    await sink.close();
    const whole = readFileSync(file);
    truncateSync(file, whole.indexOf('\n') + 1 + left);
    const next = new JsonlFile(file);
    await next.deliver(batchOf(all.slice(1)));
    await next.close();
    expect(indexesOf(linesOf())).toEqual([0, 1, 2]);
  });

  it('does not touch a file that is not its own', async () => {
    await fed.append(1);
    writeFileSync(file, '-----BEGIN PRIVATE KEY-----');
    await expect(new JsonlFile(file).deliver(batchOf(readAll(fed)))).rejects.toThrow('left as it is');
    expect(readFileSync(file, 'utf8')).toBe('-----BEGIN PRIVATE KEY-----');
    mkdirSync(path.join(fed.folder, 'folder'));
    await expect(
      new JsonlFile(path.join(fed.folder, 'folder')).deliver(batchOf(readAll(fed))),
    ).rejects.toThrow('EISDIR');
    const pipe = path.join(fed.folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(new JsonlFile(pipe).deliver(batchOf(readAll(fed)))).rejects.toThrow('is no file');
  });

  it('keeps the mode that somebody gave it', async () => {
    await fed.append(1);
    writeFileSync(file, '');
    chmodSync(file, 0o640);
    const sink = new JsonlFile(file);
    await sink.deliver(batchOf(readAll(fed)));
    await sink.close();
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });

  it('goes on where it was after a disk that was full in the middle of a line', async () => {
    await fed.append(20);
    const all = readAll(fed);
    const sink = new JsonlFile(file);
    await sink.deliver(batchOf(all.slice(0, 5)));
    // The kernel's limit on the size of files does what a full disk does: it takes a part, and refuses the rest.
    limitFiles(statSync(file).size * 2 + 100);
    try {
      await expect(sink.deliver(batchOf(all.slice(5)))).rejects.toThrow('EFBIG');
      expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(false);
      await expect(sink.deliver(batchOf(all.slice(5)))).rejects.toThrow('EFBIG');
    } finally {
      limitFiles('unlimited');
    }
    await sink.deliver(batchOf(all.slice(5)));
    await sink.close();
    expect(isComplete(indexesOf(linesOf()), 0, 20)).toBe(true);
  });
});

function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`]);
}

describe('a file that is fed', () => {
  it('gets everything from the beginning, in order, and what comes later', async () => {
    await fed.append(1_200);
    const sinks = fed.feed({ name: 'file', type: 'file', path: file, from: 'beginning' });
    await until(() => sinks.status()[0]!.state === 'waiting');
    await fed.append(20);
    await until(() => sinks.status()[0]!.next === 1_220);
    await sinks.stop(1_000);
    expect(indexesOf(linesOf())).toEqual(Array.from({ length: 1_220 }, (_, i) => i));
  });

  it('begins with what is new, and loses nothing over a crash right after its first start', async () => {
    await fed.append(5);
    const settings = { name: 'file', type: 'file', path: path.join(fed.folder, 'none', 'audit.jsonl') };
    fed.feed(settings);
    await fed.append(5);
    await until(() => fed.told.length > 0);
    expect(fed.told).toEqual(['file: ENOENT']);
    fed = fed.crash();
    mkdirSync(path.dirname(settings.path));
    const sinks = fed.feed(settings);
    await until(() => sinks.status()[0]!.state === 'waiting');
    await sinks.stop(1_000);
    expect(indexesOf(linesOf(settings.path))).toEqual([5, 6, 7, 8, 9]);
  });

  it('forgets a sink that is no longer configured: when it comes back, it is new', async () => {
    await fed.append(2);
    let sinks = fed.feed({ name: 'file', type: 'file', path: file });
    await fed.append(1);
    await sinks.stop(1_000);
    sinks = fed.feed();
    await fed.append(1);
    await sinks.stop(1_000);
    expect(fed.storage.reads.sinkCursors().size).toBe(0);
    sinks = fed.feed({ name: 'file', type: 'file', path: file });
    await fed.append(1);
    await sinks.stop(1_000);
    expect(indexesOf(linesOf())).toEqual([2, 4]);
  });

  it('loses nothing when it is renamed again and again under load', async () => {
    const sinks = fed.feed({ name: 'file', type: 'file', path: file, from: 'beginning' });
    for (let round = 0; round < 20; round++) {
      await fed.append(60);
      if (existsSync(file)) renameSync(file, `${file}.${round}`);
      await fed.append(60);
      if (round % 2 === 0) sinks.reload();
      await new Promise((resolve) => setTimeout(resolve, 17));
    }
    await until(() => sinks.status()[0]!.next === fed.log.size);
    await sinks.stop(1_000);
    const names = [...Array.from({ length: 20 }, (_, round) => `${file}.${round}`), file];
    const lines = names.filter((name) => existsSync(name)).flatMap((name) => linesOf(name));
    expect(indexesOf(lines)).toEqual(Array.from({ length: 2_400 }, (_, i) => i));
  });

  it('is completed after somebody tore its end and the cursor was lost with a crash', async () => {
    await fed.append(300);
    const settings = { name: 'file', type: 'file', path: file, from: 'beginning' };
    const sinks = fed.feed(settings);
    await until(() => sinks.status()[0]!.next === 300);
    // The cursor is written a second later at most: not yet.
    expect(fed.storage.reads.sinkCursors().get('file')).toBe(0);
    await sinks.stop(0);
    fed.storage.saveSinkCursors(new Map([['file', 120]]));
    appendFileSync(file, '{"entry":{"act');
    const again = fed.feed(settings);
    await until(() => again.status()[0]!.state === 'waiting');
    await again.stop(1_000);
    const indexes = indexesOf(linesOf());
    expect(indexes).toHaveLength(300 + 180);
    expect(isComplete(indexes, 0, 300)).toBe(true);
  });
});
