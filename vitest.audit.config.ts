import { defineConfig } from 'vitest/config';

/** All that the audit log is trusted for, with the other implementations that read it: `npm run test:audit`. */
export default defineConfig({
  test: {
    include: [
      'test/audit/**/*.test.ts',
      'test/http/audit*.test.ts',
      'test/cli/audit*.test.ts',
      'test/storage/{log-ends,entry-index}.test.ts',
      'test/access/log-reads.test.ts',
      'test/e2e/{witnesses,anchors,sinks}.test.ts',
      'test/fault/audit*.test.ts',
      'test/fault/litewitness.test.ts',
    ],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    // Every core: by default one is left idle, and of two that is half.
    maxWorkers: '100%',
  },
});
