import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const HTTP = [
  'roles',
  'key-matrix',
  'requests',
  'proposals',
  'policy-tools',
  'limits',
  'tls',
  'tls-reload',
  'oidc',
  'federated',
  'lockout',
  'proxy',
  'rotation',
  'admission',
].map((name) => `test/http/${name}.test.ts`);

const FILES = [
  ...HTTP,
  ...['pipeline', 'nonces', 'totp'].map((name) => `test/signer/${name}.test.ts`),
  ...['access', 'approvals', 'limits'].map((name) => `test/storage/${name}.test.ts`),
  'test/cli/policy.test.ts',
  'test/fault/limits.test.ts',
];

// A name that matches nothing would be a suite that nobody misses.
const missing = FILES.filter((file) => !existsSync(new URL(file, import.meta.url)));
if (missing.length > 0) throw new Error(`there is no ${missing.join(', no ')}`);

/** All that decides what may be signed, by whom and with whose consent, with many more random cases: `npm run test:policy`. */
export default defineConfig({
  test: {
    include: ['test/{effects,policy,access,approvals}/**/*.test.ts', ...FILES],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Every core: by default one is left idle, and of two that is half.
    maxWorkers: '100%',
  },
});
