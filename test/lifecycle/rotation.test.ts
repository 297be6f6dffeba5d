import { afterEach, expect, it } from 'vitest';
import { fromHex, type Hex } from '../../src/bytes.ts';
import { recoverAddress } from '../../src/secp256k1.ts';
import { type Answer, type Client, makeDirectory, type SignAnswer } from '../service.ts';
import { type ClockedService, startClocked } from './crash.ts';
import { begin, DAY, keyOf, POLICY, untilState } from './rotated.ts';

/** A key is rotated, from the first step to the destruction of its old version, while it signs without a pause. */

let service: ClockedService | undefined;
afterEach(async () => await service?.stop());

/** Signs on and on, messages and transactions in turn, naming no version; every nonce once. */
class Load {
  readonly answers: Answer<SignAnswer>[] = [];
  readonly #client: Client;
  #on = true;
  #count = 0;
  readonly #workers: Promise<void>[] = [];

  constructor(client: Client, width: number) {
    this.#client = client;
    for (let worker = 0; worker < width; worker++) this.#workers.push(this.#work());
  }

  async #work(): Promise<void> {
    while (this.#on) {
      const nonce = this.#count++;
      this.answers.push(
        nonce % 2 === 0
          ? await this.#client.post('/v1/keys/demo/sign/message', { message: `message ${nonce}` })
          : await this.#client.post('/v1/keys/demo/sign/transaction', { transaction: transferOf(nonce) }),
      );
    }
  }

  /** Until so many more have been answered. */
  async more(count: number): Promise<void> {
    const wanted = this.answers.length + count;
    while (this.answers.length < wanted) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async end(): Promise<void> {
    this.#on = false;
    await Promise.all(this.#workers);
  }
}

const transferOf = (nonce: number): object => ({
  type: 2,
  chainId: 31337,
  nonce,
  to: '0x1111111111111111111111111111111111111111',
  value: '1',
  gasLimit: 21_000,
  maxFeePerGas: '2000000000',
  maxPriorityFeePerGas: '1000000000',
});

it('no request fails, and every signature is one of the version that it names', async () => {
  service = await startClocked({ data: makeDirectory(), policy: POLICY });
  const { admin, demo } = service;
  const load = new Load(demo, 16);
  await load.more(200);

  const { id } = await begin(admin, 'demo', { plan: { overlap: '24h', drain: '7d', destroyAfterDays: 30 } });
  await untilState(admin, id, 'overlap');
  await load.more(200);
  await service.setClock(DAY);
  await untilState(admin, id, 'draining');
  const atCutover = load.answers.length;
  await load.more(400);
  await service.setClock(8 * DAY);
  await untilState(admin, id, 'destroying');
  await load.more(200);
  await service.setClock(38 * DAY + 60_000);
  // Destructions are looked for once a minute.
  await untilState(admin, id, 'completed', 90_000);
  await load.more(200);
  await load.end();

  const { primary, versions } = await keyOf(admin, 'demo');
  expect({ primary, states: versions.map(({ state }) => state) }).toEqual({
    primary: 2,
    states: ['destroyed', 'enabled'],
  });
  const failed = load.answers.filter(({ status }) => status !== 200);
  expect(failed.slice(0, 3).map(({ status, body }) => ({ status, body }))).toEqual([]);
  const signed = load.answers.map(({ body }) => body);
  for (const { key, digest, r, s, yParity } of signed) {
    const recovered = recoverAddress(fromHex(digest as Hex), {
      r: fromHex(r as Hex),
      s: fromHex(s as Hex),
      yParity: yParity === 1 ? 1 : 0,
    });
    const named = versions.find(({ version }) => version === key.version);
    expect(recovered).toBe(named?.address);
    expect(recovered).toBe(key.address);
  }
  for (const { headers, body } of load.answers)
    expect(headers.get('countersign-key-version')).toBe(String(body.key.version));
  const byVersion = Map.groupBy(signed, ({ key }) => key.version);
  // Both were used, and who was answered after the cutover was under way no longer than that.
  expect([...byVersion.keys()].toSorted((one, other) => one - other)).toEqual([1, 2]);
  expect(signed.slice(atCutover + 32).filter(({ key }) => key.version === 1)).toEqual([]);
  process.stdout.write(
    `rotation under load: ${signed.length} signed, ${byVersion.get(1)?.length} by version 1, ${byVersion.get(2)?.length} by version 2, 0 failed\n`,
  );
});
