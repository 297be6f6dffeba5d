import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';

const TARGETS = path.join(import.meta.dirname, 'targets');
const CORPUS = path.join(import.meta.dirname, 'corpus');

interface Target {
  readonly fuzz: (bytes: Uint8Array) => void | Promise<void>;
}

describe('a fuzz target', () => {
  const names = readdirSync(TARGETS).map((file) => path.basename(file, '.ts'));

  test('has a corpus, and there is no other', () => {
    expect(readdirSync(CORPUS).sort()).toEqual(names.sort());
  });

  test.each(names)('%s holds for all of its corpus, whole, cut and with a bit changed', async (name) => {
    const { fuzz } = (await import(path.join(TARGETS, `${name}.ts`))) as Target;
    const files = readdirSync(path.join(CORPUS, name));
    expect(files.length).toBeGreaterThan(1);
    for (const file of files) {
      const bytes = readFileSync(path.join(CORPUS, name, file));
      for (const variant of variantsOf(bytes)) await fuzz(variant);
    }
  });
});

/** Few, spread over the whole of it. */
function variantsOf(bytes: Buffer): Buffer[] {
  const places = Array.from({ length: 16 }, (_, index) => Math.floor((index * bytes.length) / 16));
  const changed = places.map((place) => {
    const copy = Buffer.from(bytes);
    copy[place] = (copy[place] ?? 0) ^ (1 << (place % 8));
    return copy;
  });
  return [bytes, ...places.map((place) => bytes.subarray(0, place)), ...changed];
}
