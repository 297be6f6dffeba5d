import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runAccess, type AccessHarness, type Called, type Json } from './access-service.ts';

let service: AccessHarness;
beforeAll(async () => {
  service = await runAccess();
});
afterAll(() => service.end());

const rotate = (token: string, body: object = {}, headers = {}): Promise<Called> =>
  service.call('POST', '/v1/me/credentials/rotate', { token, body, headers });
const lives = async (token: string): Promise<boolean> =>
  (await service.call('GET', '/v1/me', { token })).status === 200;
const idOf = (token: string): string => token.slice(3, 19);
const listed = async (id: string): Promise<Json[]> =>
  (await service.asAdmin('GET', `/v1/principals/${id}/credentials`)).items;
const revoke = (id: string, token: string): Promise<Called> =>
  service.call('POST', `/v1/principals/${id}/credentials/${idOf(token)}/revoke`, {
    token: service.adminToken,
    body: {},
  });

describe('a token that is rotated', () => {
  test('has a successor with its networks and lifetime, and lives on for the overlap', async () => {
    const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
    const { id, name, token } = await service.principal(['signer'], { expiresAt, cidrs: ['127.0.0.0/8'] });
    const before = Date.now();
    const { status, body } = await rotate(token, { overlap: 60 });
    expect(status).toBe(201);
    expect(body.rotatedFrom).toBe(idOf(token));
    expect(await lives(token)).toBe(true);
    expect(await lives(body.token)).toBe(true);
    const [old, created] = await listed(id);
    expect(old.expiresAt).toBe(body.predecessorExpiresAt);
    expect(Date.parse(old.expiresAt) - before).toBeGreaterThanOrEqual(60_000);
    expect(Date.parse(old.expiresAt) - before).toBeLessThan(65_000);
    expect(created).toMatchObject({ id: idOf(body.token), rotatedFrom: old.id, cidrs: ['127.0.0.0/8'] });
    expect(created.expiresAt).toBe(body.expiresAt);
    const lifetime = Date.parse(created.expiresAt) - before;
    expect(Math.abs(lifetime - 86_400_000)).toBeLessThan(5_000);
    expect(service.entries('credential.rotated').at(-1)).toMatchObject({
      outcome: 'done',
      actor: { principal: name, principalId: id, credential: old.id, roles: ['signer'] },
      detail: {
        id: created.id,
        rotatedFrom: old.id,
        principal: name,
        expiresAt: created.expiresAt,
        cidrs: ['127.0.0.0/8'],
        predecessorExpiresAt: old.expiresAt,
      },
    });
    expect(JSON.stringify(service.entries())).not.toContain(body.token.slice(20));
  });

  test('has an hour when nothing is said, and never longer than it had', async () => {
    const { token } = await service.principal(['signer']);
    const { body } = await rotate(token);
    expect(Math.abs(Date.parse(body.predecessorExpiresAt) - Date.now() - 3_600_000)).toBeLessThan(5_000);
    expect(body).not.toHaveProperty('expiresAt');
    const expiresAt = new Date(Date.now() + 30_000).toISOString();
    const short = await service.principal(['signer'], { expiresAt });
    expect((await rotate(short.token)).body.predecessorExpiresAt).toBe(expiresAt);
  });

  test('ends at once with no overlap', async () => {
    const { token } = await service.principal(['signer']);
    const { body } = await rotate(token, { overlap: 0 });
    expect([await lives(token), await lives(body.token)]).toEqual([false, true]);
    expect(service.entries('access.unauthenticated').at(-1)?.detail).toMatchObject({
      reason: 'expired credential',
    });
  });

  test.each([[-1], [1.5], [7 * 86_400 + 1], ['60'], [null]])('an overlap of %j is 400', async (overlap) => {
    const { token } = await service.principal(['signer']);
    expect((await rotate(token, { overlap })).status).toBe(400);
    expect((await rotate(token, { overlap: 7 * 86_400 })).status).toBe(201);
  });

  test('is not rotated again while it lives, nor is its successor', async () => {
    const { id, token } = await service.principal(['signer']);
    const next = (await rotate(token)).body.token;
    for (const either of [token, next]) {
      const { status, body } = await rotate(either);
      expect([status, body.code]).toEqual([409, 'conflict']);
    }
    expect(await listed(id)).toHaveLength(2);
    expect((await revoke(id, token)).status).toBe(200);
    expect((await rotate(next)).status).toBe(201);
  });

  test('gives way when its overlap is over', async () => {
    const { token } = await service.principal(['signer']);
    const next = (await rotate(token, { overlap: 1 })).body.token;
    expect((await rotate(next)).status).toBe(409);
    await sleep(1_100);
    expect(await lives(token)).toBe(false);
    expect((await rotate(next)).status).toBe(201);
  });

  test('is rotated once by many at the same time', async () => {
    const { id, token } = await service.principal(['signer']);
    const answers = await Promise.all(Array.from({ length: 12 }, () => rotate(token)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      201,
      ...Array(11).fill(409),
    ]);
    expect(await listed(id)).toHaveLength(2);
  });

  test('is rotated once by a repeat, whose answer can’t be shown again', async () => {
    const { id, token } = await service.principal(['signer']);
    const headers = { 'idempotency-key': 'again' };
    expect((await rotate(token, {}, headers)).status).toBe(201);
    expect((await rotate(token, {}, headers)).body.detail).toMatch(/shown once/);
    expect(await listed(id)).toHaveLength(2);
  });

  test('has no successor that was made after it was revoked', async () => {
    for (let round = 0; round < 10; round++) {
      const { id, token } = await service.principal(['signer']);
      const [rotated, revoked] = await Promise.all(
        round % 2 === 0 ? [rotate(token), revoke(id, token)] : [revoke(id, token), rotate(token)].reverse(),
      );
      expect(revoked?.status).toBe(200);
      const about = service
        .entries('credential.rotated', 'credential.revoked')
        .filter(({ detail }) => detail?.['id'] === idOf(token) || detail?.['rotatedFrom'] === idOf(token))
        .map(({ kind }) => kind);
      const before = rotated?.status === 201 ? ['credential.rotated'] : [];
      expect(about).toEqual([...before, 'credential.revoked']);
    }
  });
});

test('an admin rotates for others: only what is theirs, and only tokens that are valid', async () => {
  const { id, token } = await service.principal(['signer']);
  const other = await service.principal(['signer']);
  const ask = (credential: string, by = service.adminToken): Promise<Called> =>
    service.call('POST', `/v1/principals/${id}/credentials/${credential}/rotate`, { token: by, body: {} });
  expect((await ask(idOf(other.token))).status).toBe(404);
  expect((await ask('0'.repeat(16))).status).toBe(404);
  expect((await ask(idOf(token), token)).status).toBe(403);
  const { status, body } = await ask(idOf(token));
  expect(status).toBe(201);
  expect((await service.call('GET', '/v1/me', { token: body.token })).body.id).toBe(id);
  expect(service.entries('credential.rotated').at(-1)?.actor?.principal).toBe('admin');

  const revoked = await service.asAdmin('POST', `/v1/principals/${id}/credentials`, {});
  await revoke(id, revoked.token);
  expect((await ask(revoked.id)).status).toBe(409);
  const certificate = await service.asAdmin('POST', `/v1/principals/${id}/certificates`, { dns: 'a.test' });
  expect((await ask(certificate.id)).status).toBe(422);
});

test('whatever is rotated and revoked, of one token never more than two are alive', async () => {
  const step = fc.record({
    which: fc.nat(5),
    what: fc.constantFrom('rotate', 'revoke'),
    overlap: fc.constantFrom(0, 3_600),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 12 }), async (steps) => {
      const { id, token } = await service.principal(['signer']);
      const tokens = [token];
      for (const { which, what, overlap } of steps) {
        const chosen = tokens[which % tokens.length]!;
        if (what === 'revoke') await revoke(id, chosen);
        else {
          const path = `/v1/principals/${id}/credentials/${idOf(chosen)}/rotate`;
          const options = { token: service.adminToken, body: { overlap } };
          const { status, body } = await service.call('POST', path, options);
          if (status === 201) tokens.push(body.token);
        }
        const alive = await Promise.all(tokens.map(lives));
        expect(alive.filter(Boolean).length).toBeLessThanOrEqual(2);
        const says = (await listed(id)).filter(
          ({ revokedAt, expiresAt }) =>
            revokedAt === undefined && (expiresAt === undefined || new Date(expiresAt) > new Date()),
        );
        expect(says).toHaveLength(alive.filter(Boolean).length);
      }
    }),
    { numRuns: 15 },
  );
});
