import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { encryptKeystoreJson, Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hpkeSeal } from '../../src/keystore/hpke.ts';
import { encodeWrapped, wrappingInfo, type WrappedSecret } from '../../src/keystore/wrapped.ts';
import { addPrincipal, expectStatus, startService, type RunningService } from '../service.ts';
import { present, scan, whyNotReadable } from './memory-scan.ts';

/** What is encrypted to the signer process, searched for in the memory of both processes. */

const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
approvals: { two: { all: [{ role: approver, m: 2 }] } }
rules:
  - { id: out, effect: allow, principals: { roles: [admin] }, keys: { names: ["*"] }, operations: [key.export] }
  - { id: talk, effect: allow, principals: { roles: [signer] }, keys: { names: [raw] }, operations: [message] }
  - { id: ask, effect: require, keys: { names: ["*"] }, operations: [key.export], approval: two }
`;

const refused = await whyNot();
test.runIf(process.env['CI'] === 'true')('the memory of other processes can be read here', () => {
  expect(refused).toBeUndefined();
});

describe.skipIf(refused !== undefined)(
  `memory${refused === undefined ? '' : ` (skipped: ${refused})`}`,
  () => {
    const secrets = {
      privateKey: randomBytes(32),
      fileKey: randomBytes(32),
      filePassword: Buffer.from(randomBytes(24).toString('base64url')),
      exportPassword: Buffer.from(randomBytes(24).toString('base64url')),
    };
    let service: RunningService;

    beforeAll(async () => {
      service = await startService({ policy: POLICY });
    });
    afterAll(async () => await service?.stop());

    async function wrap(
      purpose: 'import' | 'export',
      keyName: string,
      secret: WrappedSecret,
    ): Promise<object> {
      const answer = await service.admin.post<{ id: string; publicKey: string; origin: string }>(
        '/v1/keys/import/wrapping-key',
        {},
      );
      const { id, publicKey, origin } = expectStatus(201, answer);
      const info = wrappingInfo({ purpose, origin, wrappingKey: id, keyName });
      const { enc, ciphertext } = hpkeSeal(
        Buffer.from(publicKey.slice(2), 'hex'),
        info,
        encodeWrapped(secret),
      );
      return {
        wrappingKey: id,
        enc: `0x${enc.toString('hex')}`,
        ciphertext: `0x${ciphertext.toString('hex')}`,
      };
    }

    async function importKey(name: string, secret: WrappedSecret): Promise<void> {
      const source = { type: 'wrapped', ...(await wrap('import', name, secret)) };
      expectStatus(201, await service.admin.post('/v1/keys/import', { name, exportable: true, source }));
    }

    async function look(where: string, pid: number): Promise<string[]> {
      const found = present(await scan(pid, secrets));
      console.log(`${where}: ${found.join('; ') || 'nothing'}`);
      return found;
    }

    test('imports and an export: nothing of them was ever in the API process', async () => {
      await importKey('raw', { form: 'private-key', privateKey: secrets.privateKey });
      const wallet = new Wallet(`0x${secrets.fileKey.toString('hex')}`);
      const text = await encryptKeystoreJson(
        { address: wallet.address, privateKey: wallet.privateKey },
        secrets.filePassword.toString(),
        { scrypt: { N: 4096, r: 8, p: 1 } },
      );
      await importKey('filed', {
        form: 'keystore',
        keystore: Buffer.from(text),
        password: secrets.filePassword,
      });
      expect(await look('API process after the imports', service.pid)).toEqual([]);

      const asked = await service.admin.post<{ request: { id: string } }>('/v1/keys/raw/export', {});
      const { id } = expectStatus(202, asked).request;
      for (const name of ['ann', 'bob']) {
        const { client } = await addPrincipal(service, name, ['approver']);
        expectStatus(200, await client.post(`/v1/requests/${id}/approve`, {}));
      }
      const password = { form: 'password', password: secrets.exportPassword } as const;
      const wrappedPassword = await wrap('export', 'raw', password);
      expectStatus(200, await service.admin.post('/v1/keys/raw/export', { request: id, wrappedPassword }));
      expect(await look('API process after the export', service.pid)).toEqual([]);
    });

    test('what signs is in the signer process, and after a seal in neither', async () => {
      expect(await look('signer process after import and export', service.signerPid)).toEqual([]);
      // So that this scan can fail: there the key must be once it has signed.
      expectStatus(200, await service.demo.post('/v1/keys/raw/sign/message', { message: 'x' }));
      expect(await look('signer process after signing', service.signerPid)).toEqual(['privateKey, bytes: 1']);
      expectStatus(200, await service.admin.post('/v1/sys/seal', {}));
      expect(await look('API process after the seal', service.pid)).toEqual([]);
      expect(await look('signer process after the seal', service.signerPid)).toEqual([]);
    });
  },
);

/** Asked of a process of our own. */
async function whyNot(): Promise<string | undefined> {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  try {
    return await whyNotReadable(child.pid!);
  } finally {
    child.kill('SIGKILL');
  }
}
