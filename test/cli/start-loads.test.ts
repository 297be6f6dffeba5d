import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Prints what `countersign start` loads before it does anything: our own modules, packages, and those of Node. */
const PROGRAM = `
  import { registerHooks } from 'node:module';
  const loaded = [];
  registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
  for (const name of ['program', 'start']) await import('./src/cli/' + name + '.ts');
  process.stdout.write([...loaded, ...process.moduleLoadList].join('\\n'));
`;

test('a service loads nothing at its start that only others need', () => {
  const args = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', PROGRAM];
  const loaded = execFileSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  expect(loaded).toMatch(/\/src\/composition\.ts$/m);
  expect(loaded).toMatch(/^NativeModule http$/m);
  // By an import of `node:http`, in place of node-http.ts.
  expect(loaded).not.toMatch(/undici/);
  expect(loaded).not.toMatch(/\/node_modules\/(?:age-encryption|@noble\/(?:ciphers|post-quantum)|jose)\//);
  expect(loaded).not.toMatch(/\/node_modules\/hash-wasm\/dist\/index/);
  expect(loaded).not.toMatch(/\/src\/cli\/client-commands\.ts/);
});
