import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { entryOf, logOf, makeDirectory, startService, type RunningService } from '../service.ts';

const ROUNDS = 10;
const MAX = 2_000;
const CALLERS = 24;
const LIMIT = 'day';

const POLICY = `
apiVersion: countersign/policy/v1
revision: 1
limits:
  ${LIMIT}: { meter: value, window: { rolling: 24h, bucket: 5m }, max: "${MAX}", onExceed: deny }
rules:
  - id: transfers
    effect: allow
    principals: { roles: [signer] }
    keys: { names: ["*"] }
    operations: [transaction]
    when:
      all:
        - chainId: { eq: 31337 }
        - maxTotalFee: { lte: "1 ether" }
`;

let service: RunningService | undefined;
afterAll(async () => await service?.kill());

test('kill -9 between reservation and commit: the limit holds over all lives, and nothing is lost of it', async () => {
  const data = makeDirectory();
  let nonce = 0;
  let released = 0n;

  const load = async (running: RunningService): Promise<boolean> => {
    let isUsedUp = false;
    const caller = async (): Promise<void> => {
      while (!isUsedUp) {
        const value = BigInt(1 + (nonce % 7));
        const body = {
          transaction: {
            type: 2,
            chainId: 31337,
            nonce: nonce++,
            to: `0x${'11'.repeat(20)}`,
            value: `${value}`,
            gasLimit: 21_000,
            maxFeePerGas: '2000000000',
            maxPriorityFeePerGas: '1000000000',
          },
        };
        const { status } = await running.demo.post('/v1/keys/demo/sign/transaction', body);
        if (status === 200) released += value;
        else if (status === 403) isUsedUp = value === 1n;
        else throw new Error(`status ${status}`);
      }
    };
    await Promise.allSettled(Array.from({ length: CALLERS }, caller));
    return isUsedUp;
  };

  for (let round = 1; round <= ROUNDS; round += 1) {
    service = await startService({ data, policy: POLICY, logLevel: 'silent' });
    const loading = load(service);
    await sleep(20 + Math.random() * 150);
    await service.kill();
    await loading;
  }
  service = await startService({ data, policy: POLICY, logLevel: 'silent' });
  // A value of 1 is refused only when nothing at all is left.
  expect(await load(service)).toBe(true);
  await service.stop();

  const log = logOf(data);
  const signed = log
    .all()
    .map(entryOf)
    .filter(({ kind, outcome }) => kind === 'sign' && outcome === 'done')
    .map(({ intent }) => BigInt((intent as { transaction: { value: string } }).transaction.value));
  log.close();
  const total = signed.reduce((sum, value) => sum + value, 0n);
  // What was signed and lost with a process is charged, too.
  expect(released).toBeLessThanOrEqual(total);
  expect(total).toBe(BigInt(MAX));
});
