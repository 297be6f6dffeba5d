import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runSelfTests } from '../../src/signer/process/selftest.ts';
import { SignerSupervisor } from '../../src/signer/supervisor.ts';

describe('self-tests', () => {
  it('all pass on this machine', async () => {
    expect(await runSelfTests()).toEqual([]);
  });

  it('that fail leave no signer process that anything is asked of', async () => {
    const program = path.join(import.meta.dirname, 'unfit-signer.ts');
    const supervisor = new SignerSupervisor({ program, onReady: () => undefined, onLost: () => undefined });
    await expect(supervisor.start()).rejects.toThrow("the signer's self-tests failed: low s");
    expect(supervisor.state).not.toBe('ready');
    await expect(supervisor.request(1, [])).rejects.toMatchObject({ code: 'unavailable' });
    await supervisor.stop();
  });
});
