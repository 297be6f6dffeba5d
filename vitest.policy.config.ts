import { defineConfig } from 'vitest/config';

/** All that decides what may be signed, by whom and with whose consent, with many more random cases: `npm run test:policy`. */
export default defineConfig({
  test: {
    include: [
      'test/{effects,policy,access,approvals}/**/*.test.ts',
      'test/http/{roles,requests,proposals,limits,policy-tools,tls,oidc,lockout,proxy,rotation,admission}.test.ts',
      'test/signer/{pipeline,nonces,totp}.test.ts',
      'test/fault/limits.test.ts',
    ],
    testTimeout: 600_000,
    hookTimeout: 60_000,
    pool: 'forks',
  },
});
