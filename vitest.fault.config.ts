import { defineConfig } from 'vitest/config';

/** What takes minutes and whole processes: kills under load, memory scans. `npm run test:fault`. */
export default defineConfig({
  test: {
    include: ['test/fault/**/*.test.ts', 'test/signer/wrong-signature.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // They print their progress and their numbers.
    disableConsoleIntercept: true,
    // One at a time: they measure times, and signal processes.
    fileParallelism: false,
  },
});
