import { defineConfig } from 'vitest/config';

/** Keys through their whole life, in services that are killed at every commit of it: `npm run test:lifecycle`. */
export default defineConfig({
  test: {
    include: [
      'test/lifecycle/**/*.test.ts',
      'test/keystore/{life-cycle,shamir,share}.test.ts',
      'test/signer/{key-states,rekey,rewrap}.test.ts',
      'test/{rotation,backup}/**/*.test.ts',
      'test/http/rotations.test.ts',
      'test/cli/{rekey,key-transfer}.test.ts',
      'test/e2e/restart.test.ts',
    ],
    testTimeout: 600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // One at a time: each has services and signer processes of its own.
    fileParallelism: false,
  },
});
