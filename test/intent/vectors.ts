import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

const SHARED = path.resolve(import.meta.dirname, '../../../shared/vectors');
const ETHERS = path.resolve(import.meta.dirname, '../../node_modules/@ethersproject/testcases/testcases');

/** Public vectors that lie beside the repository; tests that need them skip where they are missing. */
export const hasSharedVectors = existsSync(SHARED);

export function sharedVectors(file: string): unknown {
  return load(path.join(SHARED, file));
}

/** The test cases that ethers publishes (@ethersproject/testcases). */
export function ethersVectors(name: string): unknown {
  return load(path.join(ETHERS, `${name}.json.gz`));
}

function load(file: string): unknown {
  const bytes = readFileSync(file);
  return JSON.parse((file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8'));
}
