import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealedService, type SealedService } from './sealed-service.ts';

let service: SealedService;

beforeEach(async () => {
  service = await sealedService();
  await service.seal.initialize(service.act, { type: 'file' });
  await service.seal.seal(service.act);
});
afterEach(async () => await service.end());

/** Somebody seals while the opening is being logged. */
function sealWhileOpening(): Promise<void>[] {
  const sealings: Promise<void>[] = [];
  service.onCommit((kind) => {
    if (kind === 'seal.unsealed') sealings.push(service.seal.seal(service.act));
  });
  return sealings;
}

describe('a sealing that overtakes an opening', () => {
  it('holds: nobody is told that it is open, and no restart of the signer process opens it again', async () => {
    const sealings = sealWhileOpening();
    await expect(service.seal.unseal(service.act)).rejects.toMatchObject({ code: 'sealed' });
    await Promise.all(sealings);
    service.onCommit(undefined);
    expect(service.seal.status().sealed).toBe(true);
    await service.seal.resume(service.act);
    expect(service.seal.status().sealed).toBe(true);
    await service.seal.unseal(service.act);
    expect(service.seal.status().sealed).toBe(false);
  });

  it('holds for whoever waited for their turn to open it', async () => {
    await service.seal.unseal(service.act);
    service.custody.lose();
    const sealings = sealWhileOpening();
    const [first, second] = [service.seal.resume(service.act), service.seal.resume(service.act)];
    await expect(first).rejects.toMatchObject({ code: 'sealed' });
    await second;
    await Promise.all(sealings);
    expect(sealings.length).toBe(1);
    expect(service.seal.status().sealed).toBe(true);
  });
});
