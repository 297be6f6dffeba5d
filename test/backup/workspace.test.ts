import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Workspace } from '../../src/backup/workspace.ts';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(path.join(tmpdir(), 'workspace-'));
});
afterEach(() => rmSync(parent, { recursive: true }));

const MINUTE_MS = 60 * 1000;
const { pid: ENDED } = spawnSync('true');
/** A process that runs, and one that has the number of this one now. */
const [OTHER, SAME] = [process.ppid, process.pid];

function makeCopy(name: string, minutesAgo: number): string {
  const directory = path.join(parent, name);
  const file = path.join(directory, 'countersign.db');
  mkdirSync(directory);
  writeFileSync(file, 'a copy');
  const time = new Date(Date.now() - minutesAgo * MINUTE_MS);
  for (const each of [file, directory]) utimesSync(each, time, time);
  return directory;
}

test.each([
  {
    what: 'of a process that has ended',
    name: `.countersign-copy-${ENDED}-AbC123`,
    minutes: 61,
    stays: false,
  },
  {
    what: 'of a service before this one with its number',
    name: `.countersign-copy-${SAME}-AbC123`,
    minutes: 9e6,
    stays: false,
  },
  {
    what: 'that may be made in another container',
    name: `.countersign-copy-${ENDED}-AbC123`,
    minutes: 59,
    stays: true,
  },
  { what: 'of a process that runs', name: `.countersign-copy-${OTHER}-AbC123`, minutes: 9e6, stays: true },
  { what: 'that a person has made', name: `backup-${ENDED}-AbC123`, minutes: 9e6, stays: true },
  { what: 'that a person has made', name: 'backup-2026-11-26', minutes: 9e6, stays: true },
  { what: 'of another name', name: `.countersign-copy-${ENDED}-old`, minutes: 9e6, stays: true },
  { what: 'of another name', name: `.countersign-copy-${ENDED}-AbC123.age`, minutes: 9e6, stays: true },
])('a directory $what ($name, written to $minutes minutes ago) stays: $stays', ({ name, minutes, stays }) => {
  const copy = makeCopy(name, minutes);
  const workspace = new Workspace(parent);
  expect(existsSync(copy)).toBe(stays);
  workspace.remove();
});

test('a file of such a name stays', () => {
  const file = path.join(parent, `.countersign-copy-${ENDED}-AbC123`);
  writeFileSync(file, 'mine');
  utimesSync(file, 0, 0);
  new Workspace(parent).remove();
  expect(existsSync(file)).toBe(true);
});

test('one that is written to inside is in use, however old its directory is', () => {
  const copy = makeCopy(`.countersign-copy-${ENDED}-AbC123`, 9e6);
  utimesSync(path.join(copy, 'countersign.db'), new Date(), new Date());
  new Workspace(parent).remove();
  expect(existsSync(copy)).toBe(true);
});

test('what cannot be looked at keeps nobody from making another', () => {
  const copy = makeCopy(`.countersign-copy-${ENDED}-AbC123`, 9e6);
  symlinkSync('nowhere', path.join(copy, 'link'));
  const workspace = new Workspace(parent);
  expect(readdirSync(workspace.directory)).toEqual([]);
  workspace.remove();
  expect(existsSync(copy)).toBe(true);
});
