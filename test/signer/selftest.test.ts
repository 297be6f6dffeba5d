import { describe, expect, it } from 'vitest';
import { runSelfTests } from '../../src/signer/process/selftest.ts';

describe('self-tests', () => {
  it('all pass on this machine', async () => {
    expect(await runSelfTests()).toEqual([]);
  });
});
