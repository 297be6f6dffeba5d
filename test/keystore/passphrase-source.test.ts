import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { passphraseSource } from '../../src/keystore/passphrase-source.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'countersign-passphrase-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(content: string, mode = 0o600): string {
  const file = path.join(folder, `${Math.random()}`);
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

describe('the passphrase of a start', () => {
  it('is read anew from a file each time, without the newline at its end', () => {
    const file = fileOf('correct horse\n');
    const read = passphraseSource({ file });
    expect(read().toString()).toBe('correct horse');
    writeFileSync(file, ' two words ');
    expect(read().toString()).toBe(' two words ');
  });

  it('is not taken from a file that others can open, an empty one, or one that is no passphrase', () => {
    expect(passphraseSource({ file: fileOf('correct horse', 0o640) })).toThrow(/open to others: chmod 600/);
    expect(passphraseSource({ file: fileOf('\n') })).toThrow(/holds 0 bytes/);
    expect(passphraseSource({ file: fileOf('x'.repeat(1_025)) })).toThrow(/1 to 1024/);
    expect(passphraseSource({ file: path.join(folder, 'none') })).toThrow(/cannot be read/);
  });

  it('is read once from a file descriptor', () => {
    const fd = openSync(fileOf('correct horse\n'), 'r');
    const read = passphraseSource({ fd });
    expect(read().toString()).toBe('correct horse');
    // The number is given to the next file: that is not touched.
    const next = openSync(fileOf('not a passphrase'), 'r');
    expect(next).toBe(fd);
    expect(read).toThrow(/file descriptor \d+ has been read/);
    expect(readFileSync(next, 'utf8')).toBe('not a passphrase');
    closeSync(next);
  });
});
