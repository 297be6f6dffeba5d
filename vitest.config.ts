import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [
      'test/fault/**',
      'test/lifecycle/**',
      // Whole services and witnesses, damaged again and again: `npm run test:audit` has them.
      'test/e2e/{witnesses,anchors,sinks}.test.ts',
      'test/audit/verify/{database,independent}.test.ts',
      'test/cli/audit*.test.ts',
      // Moves of everything that is sealed, whole rotations, keys in and out: `npm run test:lifecycle` has them.
      'test/signer/{rekey,rewrap}.test.ts',
      'test/http/rotations.test.ts',
      'test/cli/{rekey,key-transfer}.test.ts',
      'test/e2e/restart.test.ts',
      // A signer process that is wrong, late or silent, each until it is replaced: `npm run test:fault` has it.
      'test/signer/wrong-signature.test.ts',
      '**/node_modules/**',
    ],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Every core: by default one is left idle, and of two that is half.
    maxWorkers: '100%',
  },
});
